/* What must be true of a whole conversation, whatever its peers did: see tests/fuzz/README.md. */
#ifndef BRINK_FUZZ_ORACLE_H
#define BRINK_FUZZ_ORACLE_H

/* Judges every byte that brink wrote against what the peers of fake_net.h sent. Aborts on a
 * finding. */
void oracle_judge(void);

#endif
