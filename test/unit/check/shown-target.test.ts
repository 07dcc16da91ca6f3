import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { showTarget, showUri } from '../../../src/check/shown-target.ts';

const S = 'hunter2';

suite('a URI as it is written down', () => {
  for (const [uri, shown] of [
    [`https://files.example/x?sig=${S}#${S}`, 'https://files.example/x?…'],
    [`https://files.example/x#${S}`, 'https://files.example/x?…'],
    [`https://u:${S}@files.example/x`, 'https://…@files.example/x'],
    [`https://${S}@files.example/x?${S}`, 'https://…@files.example/x?…'],
    [`https://u:${S}@${S}@files.example/`, 'https://…@files.example/'],
    [`https://u:${S}/${S}@files.example/x`, 'https:…@files.example/x'],
    [`https:u:${S}@files.example/x`, 'https:…@files.example/x'],
    [`https:\\\\u:${S}@files.example/x`, 'https:…@files.example/x'],
    [`https:/u:${S}@files.example/x`, 'https:…@files.example/x'],
    [`https:\n//u:${S}@files.example/x`, 'https:…@files.example/x'],
    [`https://u%3A${S}%40files.example/x`, 'https:…@files.example/x'],
    [`//u:${S}@files.example/x`, '…@files.example/x'],
    [`jdbc:oracle:thin:scott/${S}@db.example:1521/x`, 'jdbc:…@db.example:1521/x'],
    [`jdbc:postgresql://scott:${S}@db.example/x`, 'jdbc:postgresql://…@db.example/x'],
    [`jdbc:sqlserver://db.example:1433;user=sa;password=${S}`, 'jdbc:sqlserver://db.example:1433;…;…'],
    [`https://files.example/a;jsessionid=${S}/b`, 'https://files.example/a;…/b'],
    [`fetch://https://u:${S}@files.example/x`, 'fetch://https://…@files.example/x'],
    [`fetch://get/https%3A%2F%2Fu%3A${S}%40files.example%2Fx%3Fsig%3D${S}`, 'fetch://get/https%3A…'],
    [`data:text/plain,${S}`, 'data:…'],
    [` DATA:text/plain,${S}`, ' DATA:…'],
    [`file:///{x}?k=${S}`, 'file:///{x}?…'],
    [`https://{user}:${S}@{host}/{path}{?q,sig}`, 'https://…@{host}/{path}?…'],
    [`u:${S}@files.example`, 'u:…@files.example'],
    [`no uri?${S}`, 'no uri?…'],
    [`?${S}\n${S}`, '?…'],
  ] as const) {
    test(`has nothing that lets in: ${JSON.stringify(uri)}`, () => {
      assert.equal(showUri(uri), shown);
      assert.ok(!showUri(uri).includes(S));
      assert.equal(showUri(shown), shown);
    });
  }

  test('is as it was where there is nothing to leave out', () => {
    for (const uri of [
      'file:///shares/a%20b.txt',
      'https://files.example:8443/@scope/package@1.2.3',
      'file:///shares/alice%40example.com/x',
      'urn:isbn:0451450523',
      'db://ledger/{table}',
      'notes/today',
      '',
      'x'.repeat(2048),
    ])
      assert.equal(showUri(uri), uri);
  });

  test('is made in time, whatever it is', () => {
    const odd = ['://', '@', ';=', '%3a', '%40', '?', '{?', 'a:', ';a=b'];
    for (const piece of odd) showUri(`${piece.repeat(2048)}\n`);
  });
});

test('names that are no URI stay', () => {
  for (const type of ['tool', 'prompt', 'task'] as const) assert.equal(showTarget({ type, name: 'what?' }), 'what?');
  for (const type of ['resource', 'resource_template'] as const) assert.equal(showTarget({ type, name: 'db://x?y' }), 'db://x?…');
});
