/**
 * What a server asks and tells while it works, through the front door and a real Envoy: elicitation, sampling, progress,
 * cancellation, lists that change, streams that are taken up again, input that is wanted first.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as v2 from '@modelcontextprotocol/client';
import {
  type AnyClient,
  type ClientKind,
  type Ears,
  MCP_REMOTE,
  rejection,
  SDK_V1,
  SDK_V2_LEGACY,
  SDK_V2_MODERN,
  textOf,
} from '../support/clients.ts';
import { beginSession, modernLetter, send } from '../support/door.ts';
import { type Heard, hear, messageOf } from '../support/front-door.ts';
import { waitUntil } from '../support/ndjson.ts';
import { startTalkingDeployment, type TalkingDeployment } from '../support/talking-deployment.ts';

let deployment: TalkingDeployment;
let alice: string;
before(async () => {
  deployment = await startTalkingDeployment();
  alice = await deployment.tokenOf('alice', deployment.frontDoorUrl);
});
after(() => deployment.stop());

const connect = ({ connect: open }: ClientKind, ears: Ears = {}): Promise<AnyClient> =>
  open(deployment, deployment.frontDoorUrl, alice, ears);

/** The sessions at the legacy server that have begun since. */
function newSessions(before: ReadonlySet<string>): string[] {
  return [...deployment.legacy.sessions.keys()].filter((id) => !before.has(id));
}

/**
 * The session of a client that has just connected, once it holds the stream: what a server sends there before is lost. It is
 * the last one: mcp-remote tries with another first, and that may still be open.
 */
async function streamOf(before: ReadonlySet<string>): Promise<string> {
  const id = newSessions(before).at(-1);
  if (id === undefined) throw new Error('no session was begun');
  await waitUntil('its stream is open', () => deployment.legacy.listens(id));
  return id;
}

for (const kind of [SDK_V1, SDK_V2_LEGACY, MCP_REMOTE]) {
  describe(`${kind.name} before a server that keeps sessions`, () => {
    test('answers what it is asked, on the stream of the session and on that of the call', async (t) => {
      const held = new Set(deployment.legacy.sessions.keys());
      const ids: unknown[] = [];
      const client = await connect(kind, {
        onElicit: (_message, id) => {
          ids.push(id);
          return { action: 'accept', content: { name: 'Ada' } };
        },
        onSample: () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'Paris' } }),
      });
      t.after(client.close);
      await streamOf(held);
      assert.equal(textOf(await client.callTool('enterprise_ledger_greet')), 'accept Ada');
      assert.equal(textOf(await client.callTool('enterprise_ledger_insist')), 'accept');
      assert.match(textOf(await client.callTool('enterprise_ledger_sample')) ?? '', /Paris/);
      // mcp-remote counts anew for the agent on its stdio.
      if (kind !== MCP_REMOTE) assert.deepEqual(ids, ['enterprise-ledger~0', 'enterprise-ledger~1']);
    });

    test('takes a call back, and it is taken back at the server', async (t) => {
      const client = await connect(kind);
      t.after(client.close);
      const { takenBack, requests } = deployment.legacy;
      const [before, from] = [takenBack(), requests.length];
      const giveUp = new AbortController();
      const call = client.callTool('enterprise_ledger_wait', {}, { signal: giveUp.signal });
      await waitUntil('the server is at it', () => requests.slice(from).includes('tools/call'));
      giveUp.abort();
      await assert.rejects(call);
      await waitUntil('it is taken back', () => takenBack() === before + 1);
    });

    // Without us it does the same: it passes progress on beside the answer, and does not tell of lists.
    const skip = kind === MCP_REMOTE && 'mcp-remote loses such notifications';
    test('hears of progress', { skip }, async (t) => {
      const client = await connect(kind);
      t.after(client.close);
      const steps: number[] = [];
      const onprogress = ({ progress }: { readonly progress: number }) => void steps.push(progress);
      assert.equal(textOf(await client.callTool('enterprise_ledger_report', {}, { onprogress })), 'reported');
      assert.deepEqual(steps, [1, 2]);
    });

    test('hears once that a list changed', { skip }, async (t) => {
      const held = new Set(deployment.legacy.sessions.keys());
      let heard = 0;
      const client = await connect(kind, { onToolsChanged: () => void heard++ });
      t.after(client.close);
      const tool = deployment.legacy.sessions.get(await streamOf(held))?.registerTool('late', {}, () => ({ content: [] }));
      await waitUntil('it is heard', () => heard > 0);
      assert.ok((await client.listTools()).includes('enterprise_ledger_late'));
      tool?.remove();
      await waitUntil('so is its end', () => heard > 1);
      assert.equal(heard, 2);
    });

    test('completes the argument of a prompt, and reads by address from either server', async (t) => {
      const client = await connect(kind);
      t.after(client.close);
      assert.deepEqual(await client.complete('enterprise_ledger_visit', 'city', 'P'), ['Paris', 'Prague']);
      assert.deepEqual((await client.listResources()).sort(), ['legacy://rules', 'modern://people']);
      assert.equal((await client.readResource('legacy://rules')).contents[0].text, 'none');
      assert.equal((await client.readResource('modern://people')).contents[0].text, 'all');
    });

    test('is told clearly where a server of 2026-07-28 wants input first', async (t) => {
      const client = await connect(kind);
      t.after(client.close);
      assert.equal(textOf(await client.callTool('employee_directory_hello')), 'hello');
      const error = await rejection(client.callTool('employee_directory_stall'));
      assert.equal(error.data?.reason, 'bridge_limited');
    });
  });
}

describe(SDK_V2_MODERN.name, () => {
  test('before a server that keeps sessions: results, progress, no session left; what it asks is refused', async (t) => {
    const held = new Set(deployment.legacy.sessions.keys());
    const client = await connect(SDK_V2_MODERN, { onElicit: () => ({ action: 'accept', content: { name: 'Ada' } }) });
    t.after(client.close);
    const steps: number[] = [];
    const onprogress = ({ progress }: { readonly progress: number }) => void steps.push(progress);
    assert.equal(textOf(await client.callTool('enterprise_ledger_report', {}, { onprogress })), 'reported');
    assert.deepEqual(steps, [1, 2]);
    assert.equal(textOf(await client.callTool('enterprise_ledger_insist')), 'refused -32601');
    assert.deepEqual(await client.complete('enterprise_ledger_visit', 'city', 'R'), ['Rome']);
    await waitUntil('no session is left', () => newSessions(held).length === 0);
  });

  test('takes a call back by leaving', async (t) => {
    const client = await connect(SDK_V2_MODERN);
    t.after(client.close);
    const before = deployment.legacy.takenBack();
    const giveUp = new AbortController();
    await assert.rejects(
      client.callTool('enterprise_ledger_wait', {}, { signal: giveUp.signal, onprogress: () => giveUp.abort() }),
    );
    await waitUntil('it is taken back', () => deployment.legacy.takenBack() === before + 1);
  });

  test('gives the input that is wanted, in a new request that is authorized anew', async (t) => {
    const client = await connect(SDK_V2_MODERN, { onElicit: () => ({ action: 'accept', content: { name: 'Ada' } }) });
    t.after(client.close);
    const from = (await deployment.decisions.all()).length;
    assert.equal(textOf(await client.callTool('employee_directory_meet')), 'hello Ada');
    const isCall = (line: Record<string, any>) => line.tool === 'meet' && line.backend === 'employee-directory';
    await waitUntil(
      'both requests are logged',
      async () => (await deployment.decisions.all()).slice(from).filter(isCall).length >= 2,
    );
    const lines = (await deployment.decisions.all()).slice(from).filter(isCall);
    assert.deepEqual([lines.length, new Set(lines.map(({ delegation_token_id }) => delegation_token_id)).size], [2, 2]);
  });

  test('an answer to what was wanted is refused once its sender may not call the tool any more', async () => {
    const token = await deployment.tokenOf('alice', deployment.frontDoorUrl, 'ledger:read');
    const inputResponses = { name: { action: 'accept', content: { name: 'Ada' } } };
    const letter = modernLetter(token, '2', 'tools/call', { name: 'employee_directory_meet', arguments: {}, inputResponses });
    const reply = await send(deployment, letter);
    assert.deepEqual([reply.status, reply.reason], [403, 'insufficient_scope']);
  });

  test('subscribes to both: what one tells, and that a list of the other changed', async (t) => {
    const { fetch } = deployment;
    const requestInit = { headers: { Authorization: `Bearer ${alice}` } };
    const client = new v2.Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new v2.StreamableHTTPClientTransport(new URL(deployment.frontDoorUrl), { fetch, requestInit }));
    t.after(() => client.close());
    const heard: string[] = [];
    client.setNotificationHandler('notifications/tools/list_changed', ({ method }) => void heard.push(method));
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => void heard.push(params.uri));
    const subscription = await client.listen({ toolsListChanged: true, resourceSubscriptions: ['modern://people'] });
    assert.deepEqual(subscription.honoredFilter, { toolsListChanged: true, resourceSubscriptions: ['modern://people'] });
    deployment.modern.notify.resourceUpdated('modern://people');
    await waitUntil('the resource is heard of', () => heard.includes('modern://people'));
    deployment.modern.notify.toolsChanged();
    await waitUntil('the list is heard of', () => heard.includes('notifications/tools/list_changed'));
    await subscription.close();
  });
});

describe('by hand', () => {
  const streamHeaders = (session: string, more: Record<string, string> = {}) => ({
    accept: 'text/event-stream',
    authorization: `Bearer ${alice}`,
    'mcp-session-id': session,
    'mcp-protocol-version': '2025-11-25',
    ...more,
  });
  const listen = (session: string, more?: Record<string, string>): Promise<Heard> =>
    hear(deployment.frontDoorUrl, { headers: streamHeaders(session, more) }, deployment.fetch);

  async function said(from: Heard): Promise<{ data: string; id: string }> {
    for (;;) {
      const event = await from.next();
      if (event === null) throw new Error('the stream ended');
      const data = messageOf(event)?.params?.data;
      if (data !== undefined) return { data, id: /^id: (.*)$/m.exec(event)?.[1] ?? '' };
    }
  }

  test('what was missed on a stream comes after its last event', async () => {
    const held = new Set(deployment.legacy.sessions.keys());
    const session = await beginSession(deployment, alice);
    const server = deployment.legacy.sessions.get(newSessions(held)[0] as string);
    const first = await listen(session);
    await server?.sendLoggingMessage({ level: 'info', data: 'one' });
    const { data, id } = await said(first);
    assert.equal(data, 'one');
    assert.match(id, /^enterprise-ledger~/);
    first.leave();
    await server?.sendLoggingMessage({ level: 'info', data: 'two' });
    const second = await listen(session, { 'last-event-id': id });
    assert.equal((await said(second)).data, 'two');
    second.leave();
  });

  test('an event of no stream in the session is refused', async () => {
    const session = await beginSession(deployment, alice);
    const heard = await listen(session, { 'last-event-id': 'nobody~1' });
    assert.equal(heard.response.status, 400);
    assert.equal(((await heard.response.json()) as any).error.data.reason, 'header_invalid');
  });

  test('an answer that was interrupted is taken up again', async () => {
    const session = await beginSession(deployment, alice);
    const call = await hear(
      deployment.frontDoorUrl,
      {
        method: 'POST',
        headers: streamHeaders(session, {
          accept: 'application/json, text/event-stream',
          'content-type': 'application/json',
        }),
        body: '{"jsonrpc":"2.0","id":"i","method":"tools/call","params":{"name":"enterprise_ledger_interrupt"}}',
      },
      deployment.fetch,
    );
    let last = '';
    for (let event = await call.next(); event !== null; event = await call.next()) last = /^id: (.*)$/m.exec(event)?.[1] ?? last;
    assert.match(last, /^enterprise-ledger~/);
    const resumed = await listen(session, { 'last-event-id': last });
    let answer = messageOf(await resumed.next());
    while (answer?.id !== 'i') answer = messageOf(await resumed.next());
    assert.equal(textOf(answer.result), 'resumed');
    resumed.leave();
  });

  test('a reply to a request that no server in the session has made is refused', async () => {
    const session = await beginSession(deployment, alice);
    for (const id of ['"enterprise-ledger"', '"nobody~0"', '0', '"employee-directory~0"']) {
      const text = `{"jsonrpc":"2.0","id":${id},"result":{}}`;
      const reply = await send(deployment, { token: alice, session, text });
      assert.deepEqual([reply.status, reply.reason], [403, 'target_unknown'], id);
    }
  });
});
