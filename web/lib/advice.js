/**
 * What to do about a message: a sentence for people, to stand behind the message itself. Messages are the emulator's, the
 * library's and the relay's; the first pattern that fits counts.
 */
const ADVICE = [
  [/the PC sees a disk error/, 'Check the connection and the file on the server; what the PC has read so far goes on working.'],
  [/^this browser (has no|lacks)/, 'Use a current Chrome, Edge, Firefox or Safari.'],
  [/the emulator crashed.*(memory|allocat)/is, 'Give the PC less memory (-m), or close other tabs, and start it again.'],
  [/the emulator crashed/, 'Start makes a new PC; what was not saved is lost. If it happens again, please report it with the command line.'],
  [/worker can't be loaded/, "Load the page again. If that doesn't help, files of the emulator are missing on this site."],
  [/\b404\b/, 'Check the name: it is relative to the address of this page. A file of your own can be dropped on the page.'],
  [/: (401|403) /, 'The server keeps this file to itself: take another address, or drop the file on the page.'],
  [/: 5\d\d /, 'The server has a problem: try again later, or take another address.'],
  [/can't be fetched/, 'Check the address and your connection. A server on another site must allow this page to read the file (Access-Control-Allow-Origin); a file of your own can be dropped on the page.'],
  [/broke off|cut off|is damaged/, 'Try again. If it stays like this, the file on the server is not complete.'],
  [/too much memory|out of memory|can't allocate/i, 'Give the PC less memory (-m).'],
  [/BAD_TOKEN|NO_TOKEN/, 'Put the token that you have from who runs the relay into token= of the netdev, and start the PC again.'],
  [/TOKEN_EXPIRED/, 'Ask who runs the relay for a new token.'],
  [/^relay .*(not connected|can't be reached)/, 'It is tried again until it works. Is the relay running, does its address fit, and does it let pages of this site in? Without relay= the PC still has DHCP, names, and HTTP through the browser.'],
  [/the relay's own machine/, 'Programs there are closed to guests unless who runs the relay opens their ports: its option --egress loopback:PORT, or a token that says so.'],
  [/the relay doesn't let/, 'Who runs the relay says which ones: its options --egress, or a token for this PC.'],
  [/unknown option/, 'Correct the command line: the settings have all options that there are, under “Another option”.'],
  [/^-\w/, 'Correct that option and start again.'],
];

/** @returns {string} '' if there is nothing to say */
export function adviceFor(message) {
  return ADVICE.find(([pattern]) => pattern.test(message))?.[1] ?? '';
}
