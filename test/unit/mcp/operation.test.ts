/** What one HTTP request asks for: the era ladder, the headers that confirm, and everything that makes a body doubtful. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { classifyInboundRequest } from '@modelcontextprotocol/server';
import { METHODS } from '../../../src/mcp/methods.ts';
import { readOperation } from '../../../src/mcp/operation.ts';
import { eraOf, REVISIONS } from '../../../src/mcp/revisions.ts';
import {
  accepted,
  bytes,
  CAPABILITIES_KEY,
  ENVELOPE,
  facts,
  LIMITS,
  modern,
  post,
  refused,
  request,
  VERSION_KEY,
} from './facts.ts';

const call = request('tools/call', { name: 'read', arguments: { account: 'A-1' } });

suite('what is asked', () => {
  test('a legacy tool call', () =>
    assert.deepEqual(accepted(post(call, { 'mcp-protocol-version': '2025-11-25' })), {
      era: 'legacy',
      revision: '2025-11-25',
      kind: 'request',
      id: '1',
      method: 'tools/call',
      targets: [{ type: 'tool', name: 'read' }],
      tool: 'read',
      arguments: { account: 'A-1' },
      asTask: false,
    }));

  test('a modern tool call', () =>
    assert.deepEqual(accepted(modern('tools/call', { name: 'read', arguments: { a: [1] } })), {
      era: 'modern',
      revision: '2026-07-28',
      kind: 'request',
      id: '1',
      method: 'tools/call',
      targets: [{ type: 'tool', name: 'read' }],
      tool: 'read',
      arguments: { a: [1] },
      asTask: false,
    }));

  test('a call without arguments has none', () =>
    assert.equal(accepted(post(request('tools/call', { name: 'x' }))).arguments, null));

  test('the name of a prompt is no tool', () => {
    const { tool, targets } = accepted(post(request('prompts/get', { name: 'greet', arguments: { a: 'b' } })));
    assert.deepEqual([tool, targets], [null, [{ type: 'prompt', name: 'greet' }]]);
  });

  test('a notification has no id', () => {
    const { kind, id, method } = accepted(post({ jsonrpc: '2.0', method: 'notifications/initialized' }));
    assert.deepEqual([kind, id, method], ['notification', null, 'notifications/initialized']);
  });

  test('a raw id beyond 2^53 is echoed', () => {
    const text = '{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}';
    assert.equal(accepted(post(text)).id, '9007199254740993');
  });

  test('the name is what the escapes spell', () => {
    const text = '{"jsonrpc":"2.0","id":1,"method":"tools\\/call","params":{"n\\u0061me":"r\\u0065ad"}}';
    assert.equal(accepted(post(text)).tool, 'read');
  });
});

suite('the era ladder, legacy', () => {
  test('without a header it is 2025-03-26', () => assert.equal(accepted(post(call)).revision, '2025-03-26'));
  for (const revision of REVISIONS.filter((one) => eraOf(one) === 'legacy'))
    test(`${revision} is what its header says`, () => {
      const read = accepted(post(call, { 'mcp-protocol-version': revision }));
      assert.deepEqual([read.era, read.revision], ['legacy', revision]);
    });

  test('a method is looked up in the revision that applies', () => {
    const get = request('tasks/get', { taskId: 't' });
    assert.equal(accepted(post(get, { 'mcp-protocol-version': '2025-11-25' })).method, 'tasks/get');
    for (const version of [undefined, '2024-11-05', '2025-06-18'])
      assert.deepEqual(refused(post(get, { 'mcp-protocol-version': version }), 'method_unknown').read, {
        id: '1',
        method: 'tasks/get',
        era: 'legacy',
      });
  });

  test('initialize proposes its revision, whatever header comes with it', () => {
    const initialize = (protocolVersion: unknown) =>
      request('initialize', { protocolVersion, capabilities: {}, clientInfo: { name: 'c', version: '1' } });
    assert.equal(accepted(post(initialize('2024-11-05'))).revision, '2024-11-05');
    assert.equal(accepted(post(initialize('2025-06-18'), { 'mcp-protocol-version': '2025-11-25' })).revision, '2025-06-18');
    for (const proposal of ['2024-10-07', '2026-07-28', '2099-01-01', 'x'])
      assert.equal(accepted(post(initialize(proposal))).revision, '2025-11-25', proposal);
    for (const proposal of [1, null, '', undefined]) refused(post(initialize(proposal)), 'params_invalid', String(proposal));
    const contradiction = refused(post(initialize('2026-07-28'), { 'mcp-protocol-version': '2026-07-28' }), 'header_mismatch');
    assert.equal(contradiction.read?.era, 'modern');
  });

  test('metadata that claims no version is legacy', () => {
    for (const _meta of [{}, { progressToken: 1 }, { [CAPABILITIES_KEY]: {} }, { 'io.modelcontextprotocol/clientInfo': {} }])
      assert.equal(accepted(post(request('tools/list', { _meta }))).era, 'legacy');
  });
});

suite('the era ladder, modern', () => {
  const body = (_meta: unknown, method = 'tools/list') => request(method, { _meta });
  const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' };

  test('claim, header and capabilities', () => assert.equal(accepted(post(body(ENVELOPE), headers)).era, 'modern'));

  test('the header alone lacks the envelope', () => {
    for (const _meta of [undefined, {}, { [CAPABILITIES_KEY]: {} }])
      assert.deepEqual(refused(post(body(_meta), headers), 'envelope_missing').read, {
        id: '1',
        method: 'tools/list',
        era: 'modern',
      });
  });

  test('the claim without capabilities lacks the envelope', () => {
    for (const capabilities of [undefined, null, [], 'x'])
      refused(post(body({ ...ENVELOPE, [CAPABILITIES_KEY]: capabilities }), headers), 'envelope_missing');
  });

  test('the claim without the header, or with another', () => {
    for (const version of [undefined, '2025-11-25', '2024-11-05'])
      refused(post(body(ENVELOPE), { ...headers, 'mcp-protocol-version': version }), 'header_mismatch');
  });

  test('a claim that is no modern version: only revisions that have an envelope are offered', () => {
    const claimed = (claim: unknown, header: string | undefined) =>
      post(body({ ...ENVELOPE, [VERSION_KEY]: claim }), { ...headers, 'mcp-protocol-version': header });
    for (const claim of ['2025-11-25', '2026-07-29', 'v999.0.0', '2099-01-01'])
      for (const header of [claim, undefined])
        assert.deepEqual(refused(claimed(claim, header), 'protocol_version_unsupported').data, {
          supported: ['2026-07-28'],
          requested: claim,
        });
    for (const claim of [null, 20260728, ['2026-07-28']])
      assert.equal(refused(claimed(claim, '2026-07-28'), 'protocol_version_unsupported').data?.requested, null);
  });

  test('a claim and a header that differ are a mismatch, whatever they say', () => {
    for (const claim of ['2025-11-25', '2026-07-29', 'v999.0.0', ''])
      refused(post(body({ ...ENVELOPE, [VERSION_KEY]: claim }), headers), 'header_mismatch');
    for (const version of ['2024-10-07', '2026-7-28', '2026-07-28, 2025-11-25', 'latest', ''])
      refused(post(body(ENVELOPE), { ...headers, 'mcp-protocol-version': version }), 'header_mismatch');
  });

  test('a header that is no version, over a body that claims none', () => {
    const { data } = refused(post(call, { 'mcp-protocol-version': 'x'.repeat(1000) }), 'protocol_version_unsupported');
    assert.deepEqual(data, { supported: REVISIONS.toReversed(), requested: 'x'.repeat(32) });
  });

  test('metadata of another shape, or with a look-alike of what we read', () => {
    for (const _meta of [null, [], 'x', 1, { 'io.modelcontextprotocol/ProtocolVersion': '2026-07-28' }])
      refused(post(body(_meta)), 'params_invalid', JSON.stringify(_meta));
    for (const key of [`${VERSION_KEY}\0`, VERSION_KEY.toUpperCase(), `${CAPABILITIES_KEY}\u200b`])
      refused(post(body({ ...ENVELOPE, [key]: 'x' }), headers), 'json_duplicate_key');
  });

  test('what was removed is unknown, and says so with its era', () => {
    for (const method of [
      'initialize',
      'ping',
      'logging/setLevel',
      'resources/subscribe',
      'tasks/list',
      'no/such',
      'notifications/initialized',
    ])
      assert.deepEqual(refused(modern(method), 'method_unknown').read, { id: '1', method, era: 'modern' });
  });

  test('a modern notification is unknown too', () => {
    const notification = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1, _meta: ENVELOPE } };
    refused(post(notification, { ...headers, 'mcp-method': 'notifications/cancelled' }), 'method_unknown');
  });

  test('the version header is given once', () => {
    refused(post(body(ENVELOPE), { ...headers, 'mcp-protocol-version': ['2026-07-28', '2026-07-28'] }), 'header_invalid');
  });

  test('white space around a header does not count', () => {
    accepted(post(body(ENVELOPE), { 'mcp-protocol-version': ' 2026-07-28\t', 'mcp-method': '\ttools/list ' }));
  });
});

suite('the classifier of the official server reads the same era', () => {
  const claims = [undefined, '2026-07-28', '2025-11-25', '2027-01-01', 7] as const;
  const versions = [undefined, '2026-07-28', '2025-11-25', '2025-06-18'] as const;
  const capabilities = [undefined, {}, 'x'] as const;

  for (const method of ['tools/list', 'initialize', 'ping', 'server/discover', 'notifications/initialized'] as const) {
    test(method, () => {
      let seen = 0;
      for (const claim of claims)
        for (const version of versions)
          for (const capability of capabilities)
            for (const mirror of [undefined, method, 'tools/call']) {
              const _meta = { [VERSION_KEY]: claim, [CAPABILITIES_KEY]: capability };
              const handshake = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
              const params = JSON.parse(JSON.stringify({ ...(method === 'initialize' ? handshake : {}), _meta }));
              const body = { jsonrpc: '2.0', ...(METHODS.get(method)?.kind === 'request' ? { id: 1 } : {}), method, params };
              const ours = readOperation(post(body, { 'mcp-protocol-version': version, 'mcp-method': mirror }), LIMITS);
              const theirs = classifyInboundRequest({
                httpMethod: 'POST',
                body,
                ...(version === undefined ? {} : { protocolVersionHeader: version }),
                ...(mirror === undefined ? {} : { mcpMethodHeader: mirror }),
              });
              const what = JSON.stringify({ body, version, mirror, ours, theirs });
              if (ours.ok) {
                seen++;
                assert.equal(theirs.kind, ours.value.era, what);
              }
              if (theirs.kind === 'reject') assert.ok(!ours.ok, what);
            }
      assert.ok(seen > 0);
    });
  }
});

suite('Mcp-Method and Mcp-Name', () => {
  test('are needed in the modern era', () => {
    refused(modern('tools/list', {}, { 'mcp-method': undefined }), 'header_mismatch');
    refused(modern('tools/call', { name: 'x' }, { 'mcp-name': undefined }), 'header_mismatch');
    refused(modern('prompts/get', { name: 'x' }, { 'mcp-name': undefined }), 'header_mismatch');
    refused(modern('resources/read', { uri: 'x' }, { 'mcp-name': undefined }), 'header_mismatch');
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel'])
      refused(modern(method, { taskId: 'x' }, { 'mcp-name': undefined }), 'header_mismatch');
    accepted(modern('completion/complete', { ref: { type: 'ref/prompt', name: 'x' }, argument: { name: 'a', value: '' } }));
    accepted(modern('subscriptions/listen', { notifications: { resourceSubscriptions: ['x'] } }));
  });

  test('must say what the body says, in both eras', () => {
    const wrong: Record<string, string | string[]>[] = [
      { 'mcp-method': 'tools/list' },
      { 'mcp-method': 'Tools/call' },
      { 'mcp-method': '' },
      { 'mcp-method': ['tools/call', 'tools/call'] },
      { 'mcp-method': 'tools/call, tools/call' },
      { 'mcp-name': 'write' },
      { 'mcp-name': 'READ' },
      { 'mcp-name': '' },
      { 'mcp-name': ['read', 'read'] },
      { 'mcp-name': '=?base64?d3JpdGU=?=' },
    ];
    for (const headers of wrong) {
      assert.equal(refused(modern('tools/call', { name: 'read' }, headers), 'header_mismatch').read?.era, 'modern');
      assert.equal(refused(post(call, headers), 'header_mismatch').read?.era, 'legacy');
    }
    accepted(post(call, { 'mcp-method': 'tools/call', 'mcp-name': 'read' }));
  });

  test('a name over a method that names nothing is a mismatch', () => {
    refused(modern('tools/list', {}, { 'mcp-name': 'read' }), 'header_mismatch');
    refused(post(request('ping'), { 'mcp-name': '' }), 'header_mismatch');
    const complete = { ref: { type: 'ref/prompt', name: 'x' }, argument: { name: 'a', value: '' } };
    refused(modern('completion/complete', complete, { 'mcp-name': 'x' }), 'header_mismatch');
  });

  test('Mcp-Param headers are not looked at', () =>
    void accepted(modern('tools/call', { name: 'x' }, { 'mcp-param-a': ['1', '2'] })));

  test('a body without the name is judged for its params', () => {
    refused(modern('tools/call', {}), 'params_invalid');
    refused(modern('tools/call', { name: null }, { 'mcp-name': '=?base64?w?=' }), 'params_invalid');
  });
});

suite('the base64 form of Mcp-Name', () => {
  const encoded = (name: string): string => `=?base64?${Buffer.from(name).toString('base64')}?=`;

  for (const name of ['read', 'Überweisung', '値', '😀', ' read ', 'a\nb', '=?base64?cmVhZA==?=', '\ufeffx'])
    test(`${JSON.stringify(name)} is what it decodes to`, () =>
      void accepted(modern('tools/call', { name }, { 'mcp-name': encoded(name) })));

  const odd = {
    'without its padding': '=?base64?cmVhZA?=',
    'with bits to spare': '=?base64?cmVhZB==?=',
    'in the URL alphabet': `=?base64?${Buffer.from('???').toString('base64url')}?=`,
    'with white space': '=?base64?cmVh ZA==?=',
    'in upper case': '=?BASE64?cmVhZA==?=',
    'not closed': '=?base64?cmVhZA==',
    'of bytes that are no UTF-8': '=?base64?/w==?=',
    'in another charset': '=?utf-8?B?cmVhZA==?=',
  };
  for (const [what, header] of Object.entries(odd)) {
    test(`${what} it is none`, () => {
      for (const name of ['read', '???', '\ufffd', ''])
        refused(modern('tools/call', { name }, { 'mcp-name': header }), 'header_mismatch');
    });
  }

  test('a name that looks like the form must be in the form', () => {
    const name = '=?base64?cmVhZA==?=';
    refused(modern('tools/call', { name }, { 'mcp-name': name }), 'header_mismatch');
  });

  test('bytes of UTF-8 as they are do not match', () => {
    const header = Buffer.from('Überweisung').toString('latin1');
    refused(modern('tools/call', { name: 'Überweisung' }, { 'mcp-name': header }), 'header_mismatch');
  });
});

suite('GET and DELETE', () => {
  for (const method of ['GET', 'DELETE']) {
    test(`${method} is a legacy operation of its own`, () => {
      const read = accepted(facts({ method }, { 'mcp-protocol-version': '2025-11-25' }));
      assert.deepEqual(read, {
        era: 'legacy',
        revision: '2025-11-25',
        kind: 'http',
        id: null,
        method,
        targets: [],
        tool: null,
        arguments: null,
        asTask: false,
      });
      assert.equal(accepted(facts({ method })).revision, '2025-03-26');
    });

    test(`${method} is not served in the modern era, nor in one unheard of`, () => {
      refused(facts({ method }, { 'mcp-protocol-version': '2026-07-28' }), 'method_not_allowed');
      refused(facts({ method }, { 'mcp-protocol-version': '2030-01-01' }), 'protocol_version_unsupported');
      refused(facts({ method }, { 'mcp-protocol-version': ['2025-11-25', '2025-11-25'] }), 'header_invalid');
    });

    test(`${method} carries no body, neither here nor still on its way`, () => {
      refused(facts({ method, body: bytes(call) }), 'message_invalid');
      refused(facts({ method, body: bytes(call), statedSize: bytes(call).length }), 'message_invalid');
      refused(facts({ method, statedSize: 12 }), 'body_incomplete');
      refused(facts({ method, partialBody: true }), 'body_incomplete');
    });

    test(`${method} has nothing that Mcp-Method or Mcp-Name could confirm`, () => {
      refused(facts({ method }, { 'mcp-method': 'tools/list' }), 'header_mismatch');
      refused(facts({ method }, { 'mcp-name': 'read' }), 'header_mismatch');
    });
  }

  for (const method of ['PUT', 'PATCH', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE', 'post', 'get', ''])
    test(`${method || 'an empty method'} is not allowed`, () =>
      void refused(facts({ method, body: bytes(call) }), 'method_not_allowed'));
});

suite('a posted response', () => {
  const response = { jsonrpc: '2.0', id: 's-1', result: { action: 'accept' } };

  test('is an operation without method and id', () => {
    for (const body of [response, { jsonrpc: '2.0', id: 4, error: { code: -1, message: 'no' } }]) {
      const { kind, id, method, targets } = accepted(post(body, { 'mcp-protocol-version': '2025-06-18' }));
      assert.deepEqual([kind, id, method, targets], ['response', null, null, []]);
    }
  });

  test('does not exist in the modern era', () => {
    assert.equal(refused(post(response, { 'mcp-protocol-version': '2026-07-28' }), 'message_invalid').read?.era, 'modern');
  });

  test('is not confirmed by headers', () => {
    refused(post(response, { 'mcp-method': 'tools/list' }), 'header_mismatch');
    refused(post(response, { 'mcp-name': '' }), 'header_mismatch');
  });
});

suite('the kind of message and its method agree', () => {
  test('a call without an id is no notification', () => {
    for (const method of ['tools/call', 'tools/list', 'initialize', 'ping'])
      refused(post({ jsonrpc: '2.0', method, params: { name: 'x' } }), 'method_unknown');
  });
  test('a notification with an id is no request', () =>
    void refused(post(request('notifications/initialized')), 'method_unknown'));
  test('a batch', () => void refused(post([call]), 'batch_unsupported'));
  test('a hybrid of call and response', () =>
    assert.deepEqual(refused(post({ ...call, result: {} }), 'message_invalid').read, { id: '1', method: 'tools/call' }));
});

suite('the media type', () => {
  const good = [
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
    ' application/json ',
  ];
  for (const type of good) test(`${type} is taken`, () => void accepted(post(call, { 'content-type': type })));

  const bad = [undefined, '', 'text/plain', 'application/json-rpc', 'application/jsonx', 'text/json', 'application/problem+json'];
  const odd = [
    'application/json; charset=utf-16',
    'application/json; charset=iso-8859-1',
    'application/json; charset=utf-8; charset=utf-16',
  ];
  const list = [
    'application/json, text/plain',
    'application/json; boundary=x',
    'application/json;',
    'multipart/form-data',
    '*/*',
  ];
  for (const type of [...bad, ...odd, ...list])
    test(`${type} is not`, () => void refused(post(call, { 'content-type': type }), 'media_type_unsupported'));

  test('two types are none', () =>
    void refused(post(call, { 'content-type': ['application/json', 'application/json'] }), 'media_type_unsupported'));

  test('a body that is encoded cannot be read', () => {
    for (const encoding of ['gzip', 'br', 'zstd', 'deflate', 'identity, gzip', 'gzip, identity', '', ['identity', 'identity']])
      refused(post(call, { 'content-encoding': encoding }), 'content_encoding_unsupported');
    accepted(post(call, { 'content-encoding': 'Identity' }));
  });
});

suite('a body that is not whole', () => {
  const body = bytes(call);

  test('as Envoy marks it', () => void refused({ ...post(call), partialBody: true }, 'body_incomplete'));
  test('by its stated size', () => {
    for (const statedSize of [body.length - 1, body.length + 1, 1, 1_000_000])
      refused({ ...post(call), statedSize }, 'body_incomplete');
  });
  test('nothing where something was stated', () => void refused({ ...post(''), statedSize: 10 }, 'body_incomplete'));
  test('without a stated size the body is what it is', () => {
    accepted({ ...post(call), statedSize: null });
    refused({ ...post(''), statedSize: null }, 'json_invalid');
  });
  test('too large comes before unreadable', () => void refused(post('x'.repeat(LIMITS.maxBytes + 1)), 'body_too_large'));
  test('cut at any byte it is refused', () => {
    const whole = Buffer.from(body);
    for (let length = 0; length < whole.length; length++) refused(post(whole.subarray(0, length)), 'json_invalid');
  });
});

suite('what a refusal tells of the message', () => {
  test('id and method, where they could be read', () => {
    assert.deepEqual(refused(post({ ...call, params: { name: 7 } }), 'params_invalid').read, {
      id: '1',
      method: 'tools/call',
      era: 'legacy',
    });
    assert.deepEqual(refused(post({ jsonrpc: '2.0', method: 'no/such' }), 'method_unknown').read, {
      method: 'no/such',
      era: 'legacy',
    });
  });
  test('nothing of what could not be parsed', () => assert.equal(refused(post('{'), 'json_invalid').read, undefined));
  test('nothing of a response', () =>
    assert.deepEqual(
      refused(post({ jsonrpc: '2.0', id: 1, result: {} }, { 'mcp-protocol-version': 'x' }), 'protocol_version_unsupported').read,
      {},
    ));
});
