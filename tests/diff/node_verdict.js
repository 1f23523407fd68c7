// What node's own HTTP/1 parser (llhttp, strict) reads in each line of standard input, a client's
// bytes in hex: one line of JSON for each, in the form of h1_verdict.c.
'use strict';

process.removeAllListeners('warning');
const { HTTPParser, allMethods, methods } = process.binding('http_parser');
const NAMES = allMethods || methods;
const HEAD_MAX = 32768;

function hex(text) {
  return Buffer.from(text, 'latin1').toString('hex');
}

function pairs(list) {
  const fields = [];
  for (let i = 0; i < list.length; i += 2) {
    fields.push({ name: hex(list[i]), value: hex(list[i + 1]) });
  }
  return fields;
}

function judge(bytes) {
  const messages = [];
  const parser = new HTTPParser();
  let early = []; // field lines that came before the head was whole: more than 32 of them
  let url = '';
  let upgrade = false;

  parser.initialize(HTTPParser.REQUEST, {}, HEAD_MAX, HTTPParser.kLenientNone);
  parser[HTTPParser.kOnHeaders] = (list, part) => {
    early = early.concat(list);
    url += part;
  };
  parser[HTTPParser.kOnHeadersComplete] = (major, minor, list, method, target, status, reason,
    isUpgrade) => {
    messages.push({
      method: hex(NAMES[method]),
      target: hex(target === undefined ? url : target),
      fields: pairs(early.concat(list || [])),
      body: '',
      whole: false,
    });
    early = [];
    url = '';
    upgrade = isUpgrade;
    return 0;
  };
  parser[HTTPParser.kOnBody] = (data) => {
    messages[messages.length - 1].body += data.toString('hex');
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    messages[messages.length - 1].whole = true;
    early = []; // trailers come the same way as a long head, with an address that is old
    url = '';
  };
  const result = parser.execute(bytes);
  if (result instanceof Error) {
    return { messages, end: result.code };
  }
  return { messages, end: upgrade ? 'upgrade' : 'done' };
}

const chunks = [];
process.stdin.on('data', (data) => chunks.push(data));
process.stdin.on('end', () => {
  const lines = Buffer.concat(chunks).toString('latin1').split('\n');
  lines.pop();
  const out = lines.map((line) => JSON.stringify(judge(Buffer.from(line, 'hex'))));
  process.stdout.write(out.join('\n') + '\n');
});
