/** Every relative link of every document leads somewhere, and so does its anchor. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { documents, headings, prose, read, root, slug } from './tree.ts';

for (const file of documents) {
  test(file, () => {
    const broken = linksOf(file).filter((link) => problem(file, link));
    assert.deepEqual(broken, []);
  });
}

test('the documents that readers look for are there', () => {
  const wanted = ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md'];
  assert.deepEqual(
    wanted.filter((file) => !documents.includes(file)),
    [],
  );
  assert.match(read('LICENSE'), /Apache License\s+Version 2\.0/);
});

test('the README names every document', () => {
  const linked = new Set(linksOf('README.md').map((link) => normalize(link.split('#')[0] ?? '')));
  const missing = documents.filter(
    (file) => /^(docs\/)?[^/]+\.md$/.test(file) && !/^(README|CHANGELOG)\.md$/.test(file) && !linked.has(file),
  );
  assert.deepEqual(missing, []);
});

function linksOf(file: string): string[] {
  const text = prose(file).replace(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^()\s]+)\)/g)].map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link));
}

function problem(file: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? file : normalize(join(dirname(file), path));
  if (target.startsWith('..') || !existsSync(join(root, target))) return true;
  return anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).has(anchor);
}

function anchorsOf(file: string): Set<string> {
  const anchors = new Set([...read(file).matchAll(/<a id="([^"]+)">/g)].map(([, id = '']) => id));
  const seen = new Map<string, number>();
  for (const { text } of headings(file)) {
    const base = slug(text);
    const count = seen.get(base) ?? 0;
    seen.set(base, count + 1);
    anchors.add(count === 0 ? base : `${base}-${count}`);
  }
  return anchors;
}
