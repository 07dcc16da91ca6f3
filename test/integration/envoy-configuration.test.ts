/**
 * The settings of envoy/envoy.yaml that safety hangs on, read back from the running Envoy, and what an Envoy that is set up
 * otherwise gets from us: a refusal, not a guess.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../../examples/reference/free-port.ts';
import { ask, lineOf } from '../support/ask.ts';
import { PATHS } from '../support/cases.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { configDump } from '../support/envoy-admin.ts';
import { addListener, type ListenerParts, partsOf } from '../support/listeners.ts';
import { openWire, type Wire } from '../support/wire.ts';

type Tree = Record<string, any>;

const MISTAKES: Record<string, (parts: ListenerParts) => void> = {
  'pack_as_bytes is off': ({ extAuthz }) => {
    extAuthz.with_request_body.pack_as_bytes = false;
  },
  'encode_raw_headers is off': ({ extAuthz }) => {
    extAuthz.encode_raw_headers = false;
  },
  'there is no with_request_body': ({ extAuthz }) => {
    extAuthz.with_request_body = undefined;
  },
  'the route disables buffering': ({ routes }) => {
    for (const route of routes.filter((one) => one.route !== undefined)) {
      route.typed_per_filter_config = {
        'envoy.filters.http.ext_authz': {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute',
          check_settings: { disable_request_body_buffering: true },
        },
      };
    }
  },
  'the timeout leaves no time': ({ extAuthz }) => {
    extAuthz.grpc_service.timeout = '0.015s';
  },
};

let deployment: TestDeployment;
let token: string;
const wires = new Map<string, Wire>();

before(async () => {
  const names = Object.keys(MISTAKES);
  const ports = await Promise.all(names.map(() => freePort()));
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: withoutCatalog,
    adjustEnvoy: (config) => {
      for (const [index, name] of names.entries())
        addListener(config, `mistake_${index}`, ports[index] as number, MISTAKES[name]!);
    },
  });
  for (const [index, name] of names.entries()) wires.set(name, openWire(ports[index] as number, deployment.certificates.caPem));
  token = await deployment.tokenOf('alice', deployment.directoryUrl);
});
after(async () => {
  for (const wire of wires.values()) wire.close();
  await deployment.stop();
});

const through = (name: string): { wire: Wire } => ({ wire: wires.get(name) ?? assert.fail(name) });

const EXT_PROC = 'envoy.filters.http.ext_proc';

describe('the running configuration', () => {
  let parts: ListenerParts;
  let dump: Tree;
  before(async () => {
    dump = await configDump(deployment.envoy.adminSocket);
    const listeners = dump.configs.find((one: Tree) => one.dynamic_listeners !== undefined || one.static_listeners !== undefined);
    parts = partsOf(listeners.static_listeners.map((one: Tree) => one.listener).find(({ name }: Tree) => name === 'edge'));
  });

  test('broken means no', () => {
    assert.equal(parts.extAuthz.failure_mode_allow ?? false, false);
    assert.deepEqual(parts.extAuthz.status_on_error, { code: 'ServiceUnavailable' });
    assert.equal(parts.extAuthz.shadow_mode, undefined);
  });

  test('we get the bytes, all of them, and every header line', () => {
    const { with_request_body: body, encode_raw_headers: raw, validate_mutations: validate } = parts.extAuthz;
    assert.deepEqual(body, { max_request_bytes: 262_144, pack_as_bytes: true });
    assert.deepEqual([raw, validate], [true, true]);
  });

  test('the body limit comes first with the same number, ext_authz before the router, and after it ext_proc alone', () => {
    assert.deepEqual(
      parts.filters.map(({ name }) => name),
      ['body_size_limit', 'ext_authz', 'ext_proc', 'router'].map((name) => `envoy.filters.http.${name}`),
    );
    assert.equal(Number(parts.filters[0]?.typed_config.max_request_bytes), 262_144);
  });

  test('a path has one spelling', () => {
    const { normalize_path: normalize, merge_slashes: merge, path_with_escaped_slashes_action: escaped } = parts.manager;
    assert.deepEqual([normalize, merge, escaped], [true, true, 'REJECT_REQUEST']);
  });

  test('underscores, foreign x-envoy- and x-mcp- headers do not come in', () => {
    assert.equal(parts.manager.common_http_protocol_options.headers_with_underscores_action, 'DROP_HEADER');
    const [strip] = parts.manager.early_header_mutation_extensions;
    assert.partialDeepStrictEqual(strip.typed_config.mutations, [
      { remove_on_match: { key_matcher: { prefix: 'x-envoy-' } } },
      { remove_on_match: { key_matcher: { prefix: 'x-mcp-' } } },
      { remove: 'grpc-timeout' },
    ]);
  });

  test('every route is exact, goes through ext_authz, and the rest is a 404', () => {
    for (const { typed_per_filter_config: own = {} } of parts.routes)
      assert.deepEqual(
        Object.keys(own).filter((name) => name !== 'envoy.filters.http.ext_proc'),
        [],
        'a route with its own ext_authz',
      );
    const { ledger, directory } = PATHS;
    const seen = parts.routes.map(({ match: { headers = [], ...match } }) => [match, headers.map((one: Tree) => one.name)]);
    const planned = ['x-mcp-plan'];
    const named = ['x-mcp-plan', 'x-mcp-backend'];
    assert.deepEqual(seen, [
      [{ path: ledger }, planned],
      [{ path: ledger }, []],
      [{ path: directory }, planned],
      [{ path: directory }, []],
      ...['ledger', 'directory', 'door'].map(() => [{ path: '/mcp' }, named]),
      [{ path: '/mcp' }, []],
      [{ prefix: '/' }, []],
    ]);
  });

  test('what carries a plan goes through ext_proc, and of the front door only what names its backend anywhere', () => {
    for (const { match, route, direct_response: own, typed_per_filter_config: filters } of parts.routes) {
      const isPlanned = match.headers?.some(({ name }: Tree) => name === 'x-mcp-plan') ?? false;
      const isProcessed = filters?.['envoy.filters.http.ext_proc'] !== undefined;
      assert.equal(isProcessed, isPlanned && route.cluster !== 'front_door', JSON.stringify(match));
      if (match.path === '/mcp' && match.headers === undefined) assert.equal(own.status, 503);
    }
    assert.equal(parts.routes.at(-1)?.direct_response.status, 404);
  });

  test('ext_proc is off but where there is a plan, shows everything there, and broken means no', () => {
    const {
      failure_mode_allow: allows = false,
      allow_mode_override: hears,
      processing_mode: base,
    } = parts.filters.find(({ name }) => name === EXT_PROC)!.typed_config as Tree;
    assert.deepEqual([allows, hears], [false, true]);
    assert.deepEqual(base, { request_header_mode: 'SKIP', response_header_mode: 'SKIP' });
    const everything = {
      request_header_mode: 'SEND',
      request_body_mode: 'BUFFERED',
      response_header_mode: 'SEND',
      response_body_mode: 'STREAMED',
      response_trailer_mode: 'SEND',
    };
    const PLAN = { name: 'x-mcp-plan', present_match: true };
    for (const { match, route, typed_per_filter_config: own } of parts.routes) {
      const isPlanned = (match.headers ?? []).some(({ name }: Tree) => name === PLAN.name);
      assert.equal(own !== undefined, isPlanned && route.cluster !== 'front_door', JSON.stringify(match));
      if (own !== undefined) assert.deepEqual(own[EXT_PROC].overrides.processing_mode, everything);
    }
    for (const path of [PATHS.ledger, PATHS.directory]) {
      const [first] = parts.routes.filter(({ match }) => match.path === path);
      assert.deepEqual(first?.match.headers, [PLAN], 'the route with the plan comes first');
    }
  });

  test('the admin interface is on no network address', () => {
    const bootstrap = dump.configs.find((one: Tree) => one.bootstrap !== undefined).bootstrap;
    assert.deepEqual(Object.keys(bootstrap.admin.address), ['pipe']);
  });
});

describe('a mistake in the configuration', () => {
  test('without pack_as_bytes: a text is not what was sent, so 500', async () => {
    const seen = deployment.requests.length;
    const { status, reason } = await ask(through('pack_as_bytes is off'), { token, tool: 'listEmployees' });
    assert.deepEqual([status, reason, deployment.requests.length], [500, 'request_invalid', seen]);
  });

  test('without encode_raw_headers: in order requests pass, a header sent twice does not', async () => {
    const mistaken = through('encode_raw_headers is off');
    assert.equal((await ask(mistaken, { token, tool: 'listEmployees' })).status, 200);
    const seen = deployment.requests.length;
    const twice = await ask(mistaken, {
      token,
      headers: [
        ['mcp-protocol-version', '2025-11-25'],
        ['mcp-protocol-version', '2025-06-18'],
      ],
    });
    const tokens = await ask(mistaken, { token, headers: [['authorization', 'Bearer a.b.c']] });
    assert.deepEqual([twice.reason, tokens.reason], ['protocol_version_unsupported', 'token_malformed']);
    assert.equal(deployment.requests.length, seen);
  });

  for (const name of ['there is no with_request_body', 'the route disables buffering']) {
    test(`${name}: a body that was not seen is not judged`, async () => {
      const seen = deployment.requests.length;
      for (const over of ['http1', 'http2'] as const) {
        const { status, reason } = await ask(through(name), { token, tool: 'listEmployees', over });
        assert.ok(reason === 'body_incomplete' || reason === 'json_invalid', `${status} ${reason}`);
      }
      assert.equal(deployment.requests.length, seen);
    });
  }

  test('the timeout leaves no time: nothing passes, and the log says why', async () => {
    const seen = deployment.requests.length;
    const reply = await ask(through('the timeout leaves no time'), { token, tool: 'listEmployees' });
    assert.equal(reply.status, 503);
    assert.equal(deployment.requests.length, seen);
    // Whether the answer is ours or Envoy's own is a race that nobody needs to win.
    assert.ok(reply.reason === 'deadline_exceeded' || reply.body === '', reply.body);
    const line = await lineOf(deployment, reply);
    assert.deepEqual([line.decision, line.reason, line.delegation_token_id], ['error', 'deadline_exceeded', undefined]);
  });
});
