/** The Prometheus text format, as far as a test needs it: each sample by its name and labels. */
import assert from 'node:assert/strict';

export interface Samples {
  /** The value of one series; 0 where it is not there yet. */
  readonly value: (name: string, labels?: Readonly<Record<string, string>>) => number;
  /** The sum over all series of that name with these labels among theirs. */
  readonly sum: (name: string, labels?: Readonly<Record<string, string>>) => number;
  /** Every series of that name with a value, `{labels}` as an object. */
  readonly series: (name: string) => readonly Sample[];
  readonly text: string;
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export async function readMetrics(admin: string): Promise<Samples> {
  const response = await fetch(`${admin}/metrics`);
  assert.equal(response.status, 200);
  return parseMetrics(await response.text());
}

export function parseMetrics(text: string): Samples {
  const byName = new Map<string, Sample[]>();
  for (const line of text.split('\n')) {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (found === null) continue;
    const [, name = '', labels = '', value] = found;
    const sample = { labels: readLabels(labels), value: Number(value) };
    byName.set(name, [...(byName.get(name) ?? []), sample]);
  }
  const series = (name: string): readonly Sample[] => byName.get(name) ?? [];
  const matching = (name: string, wanted: Readonly<Record<string, string>>) =>
    series(name).filter(({ labels }) => Object.entries(wanted).every(([key, value]) => labels[key] === value));
  return {
    series,
    text,
    value: (name, labels = {}) =>
      matching(name, labels).find((sample) => Object.keys(sample.labels).length === Object.keys(labels).length)?.value ?? 0,
    sum: (name, labels = {}) => matching(name, labels).reduce((total, { value }) => total + value, 0),
  };
}

function readLabels(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = '', value = '']) => [name, value]));
}
