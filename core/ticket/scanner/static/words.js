// The texts of the page, one file a language. A text that is missing is shown as its English one.

const languages = ['en', 'es', 'de'];
const kept = 'fairgate.scanner.language';
let english = {};
let chosen = {};
let name = 'en';

async function load(language) {
  const response = await fetch(`/scanner/strings/${language}.json`);
  if (!response.ok) throw new Error(`strings of ${language}: ${response.status}`);
  return response.json();
}

// preferred is the language that was chosen before, or the first of the browser's that there is.
export function preferred() {
  const before = localStorage.getItem(kept);
  if (languages.includes(before)) return before;
  return navigator.languages.map((l) => l.slice(0, 2)).find((l) => languages.includes(l)) ?? 'en';
}

// choose loads a language and puts its texts into the document.
export async function choose(language, remember) {
  english = await load('en');
  chosen = language === 'en' ? english : await load(language);
  name = language;
  if (remember) localStorage.setItem(kept, language);
  document.documentElement.lang = language;
  for (const e of document.querySelectorAll('[data-text]')) e.textContent = say(e.dataset.text);
  for (const e of document.querySelectorAll('[data-label]')) e.setAttribute('aria-label', say(e.dataset.label));
}

// say is a text; names in braces are replaced by values.
export function say(key, values = {}) {
  const text = chosen[key] ?? english[key] ?? '';
  return text.replace(/\{(\w+)\}/g, (_, value) => values[value] ?? '');
}

// why is the sentence for a problem of core, whose own is English.
export function why(problem) {
  return say(`problem_${problem.code}`) || problem.detail || say('problem_other');
}

// clock is a time as people at the gate read it, with the day when it is not today.
export function clock(at) {
  const when = new Date(at);
  const options = when.toDateString() === new Date().toDateString() ? { timeStyle: 'medium' } : { dateStyle: 'medium', timeStyle: 'medium' };
  return new Intl.DateTimeFormat(name, options).format(when);
}
