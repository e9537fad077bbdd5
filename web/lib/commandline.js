/**
 * A command line as text: words separated by blanks, quoted as in a shell ('...', "...", \x). The page's URL and the widget's
 * attribute have it in this form.
 */

/** @returns {string[]}; throws an Error whose message is for the user */
export function splitCommandLine(text) {
  const words = [];
  let word = null;
  let quote = '';
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quote) {
      if (c === quote) quote = '';
      else if (c === '\\' && quote === '"' && /["\\]/.test(text[i + 1] ?? '')) word += text[++i];
      else word += c;
    } else if (/\s/.test(c)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word ??= '';
      if (c === '"' || c === "'") quote = c;
      else if (c === '\\' && i + 1 < text.length) word += text[++i];
      else word += c;
    }
  }
  if (quote) throw new Error(`the command line ends inside of ${quote}: ${text}`);
  if (word !== null) words.push(word);
  if (/^(qemu-system-\w+|slipway)$/.test(words[0] ?? '')) words.shift();
  return words;
}

export function joinCommandLine(words) {
  return words.map((word) => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}
