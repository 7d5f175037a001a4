// What is said to people, in the language of the page. The words lie in words/CODE.json, one file a language; the page carries those
// groups of them that its scripts need.

const node = document.getElementById('words');
const { language, ...groups } = JSON.parse(node.textContent);
let coming;

/** Has the words come that the parts of this page need which are gone to later. A page without such has all that it needs. */
export function more() {
  coming ||= fetch(node.dataset.more).then((response) => (response.ok ? response.json() : Promise.reject(response))).then((rest) => Object.assign(groups, rest));
  coming.catch(() => { coming = undefined; });
  return coming;
}

const rules = new Intl.PluralRules(document.documentElement.lang);

/** The language of the page, and the locale with which numbers and times are written in it. */
export const { lang } = document.documentElement;
export const { locale } = language;

const find = (key) => { const [group, name] = key.split('.'); return (groups[group] || {})[name]; };

/** Whether something is said under a key. */
export const has = (key) => find(key) !== undefined;

/** What is said under a key such as 'room.ahead'. {name} is replaced by the value of the name; n chooses the plural. Numbers are written as
 *  the language writes them. */
export function t(key, values = {}) {
  let text = find(key);
  if (text === undefined) return key;
  if (typeof text === 'object') text = text[rules.select(values.n)] || text.other;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (typeof values[name] === 'number' ? number(values[name]) : values[name] ?? whole));
}

/** A refusal in the page's language: by its code, else what came with it, which is in English, else what is said under another key. */
export const said = (problem, otherwise = 'common.failed') => { const key = wordsOf(problem.code); return key ? t(key) : problem.detail || t(otherwise); };

/** The key of what is said of a refusal's code; the words of the rarer ones come with those of later parts. */
export const wordsOf = (code) => ['problem', 'refused'].map((group) => `${group}.${code}`).find(has);

export const number = (n) => new Intl.NumberFormat(locale).format(n);

/** An amount as the server writes it: with a sign where all languages have the same, else with the currency's code. */
export function money(m) {
  const format = new Intl.NumberFormat(locale, { style: 'currency', currency: m.currency, currencyDisplay: ['EUR', 'GBP'].includes(m.currency) ? 'symbol' : 'code' });
  return format.format(m.minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

/** A time by the clock of a zone, as the server writes it. */
export function when(text, zone) {
  const at = new Date(text);
  const parts = { date: new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeZone: zone }).format(at), time: new Intl.DateTimeFormat(locale, { timeStyle: 'short', timeZone: zone }).format(at) };
  return language.date_time.replace(/\{(\w+)\}/g, (whole, name) => parts[name]);
}

/** A span of time: 4:05, or 2 h 10 min. */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s >= 3600) return t('common.duration', { h: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) });
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}
