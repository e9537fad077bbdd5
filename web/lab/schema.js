/**
 * Checks a value against a JSON Schema (draft 2020-12), for errors that name the place in the file: of the vocabulary, what
 * lab.schema.json uses. A keyword that isn't known here is an error of the schema, not silently nothing.
 */
const IGNORED = new Set(['$schema', '$defs', 'title', 'description']);

const typeOf = (value) => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
};
const article = (word) => `${/^[aeio]/.test(word) ? 'an' : 'a'} ${word}`;
const isMember = (path, name) => `${path}${/^[\w$-]+$/.test(name) ? `${path ? '.' : ''}${name}` : `[${JSON.stringify(name)}]`}`;
const plural = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`;

/** keyword -> (argument, value, check): what is wrong, or nothing. They look only at values of their type. */
const KEYWORDS = {
  $ref: (name, value, { at, path, root }) => at(name.slice(2).split('/').reduce((schema, key) => schema[key], root), value, path),
  type(wanted, value, { fail }) {
    const types = [wanted].flat();
    const type = typeOf(value);
    if (!types.includes(type) && !(type === 'integer' && types.includes('number'))) fail(`is ${article(type)}, not ${types.map(article).join(' or ')}`);
  },
  enum(values, value, { fail }) {
    if (!values.includes(value)) fail(`is ${JSON.stringify(value)}, not one of ${values.map((v) => JSON.stringify(v)).join(', ')}`);
  },
  minLength(least, value, { fail }) {
    if (typeof value === 'string' && value.length < least) fail('is empty');
  },
  pattern(pattern, value, { fail }) {
    if (typeof value === 'string' && !new RegExp(pattern, 'u').test(value)) fail(`is ${JSON.stringify(value)}, which doesn't match ${pattern}`);
  },
  format(format, value, { fail }) {
    if (format !== 'regex' || typeof value !== 'string') return;
    try {
      new RegExp(value, 'm');
    } catch (e) {
      fail(`is no regular expression: ${e.message}`);
    }
  },
  minimum(least, value, { fail }) {
    if (typeof value === 'number' && value < least) fail(`is ${value}, less than ${least}`);
  },
  minItems(least, value, { fail }) {
    if (Array.isArray(value) && value.length < least) fail(`has ${plural(value.length, 'item')}, at least ${least} must be there`);
  },
  maxItems(most, value, { fail }) {
    if (Array.isArray(value) && value.length > most) fail(`has ${plural(value.length, 'item')}, at most ${most} may be there`);
  },
  items(schema, value, { at, path }) {
    if (Array.isArray(value)) value.forEach((item, i) => at(schema, item, `${path}[${i}]`));
  },
  required(names, value, { fail }) {
    if (typeOf(value) !== 'object') return;
    for (const name of names) if (!Object.hasOwn(value, name)) fail(`has no "${name}"`);
  },
  properties(schemas, value, { at, path }) {
    if (typeOf(value) !== 'object') return;
    for (const [name, schema] of Object.entries(schemas)) if (Object.hasOwn(value, name)) at(schema, value[name], isMember(path, name));
  },
  additionalProperties(schema, value, { at, fail, path, siblings }) {
    if (typeOf(value) !== 'object') return;
    const known = Object.keys(siblings.properties ?? {});
    for (const name of Object.keys(value).filter((n) => !known.includes(n))) {
      if (schema === false) fail(`has "${name}", which means nothing there; there are ${known.map((n) => `"${n}"`).join(', ')}`);
      else at(schema, value[name], isMember(path, name));
    }
  },
};

/** @returns {{path: string, message: string}[]} - path: as in JavaScript, "pcs[1].links[0].mac"; empty: the whole */
export function check(schema, value) {
  const errors = [];
  const at = (siblings, item, path) => {
    const fail = (message) => errors.push({ path, message });
    const before = errors.length;
    for (const [keyword, argument] of Object.entries(siblings)) {
      if (IGNORED.has(keyword)) continue;
      if (!KEYWORDS[keyword]) throw new Error(`the schema has "${keyword}", which isn't known here`);
      if (keyword !== 'type' && errors.length > before && errors[before].path === path && siblings.type) continue; // one error a value
      KEYWORDS[keyword](argument, item, { at, fail, path, root: schema, siblings });
    }
  };
  at(schema, value, '');
  return errors;
}
