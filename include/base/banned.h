/* Functions that have no place here; included before everything else by the build. */
#ifndef BRINK_BASE_BANNED_H
#define BRINK_BASE_BANNED_H

#include <stdio.h> /* the declarations must be seen before the names are poisoned */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok gmtime localtime atoi atol gets

#endif
