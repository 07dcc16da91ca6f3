import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type Config, ConfigError, parseConfig } from '../../src/config.ts';
import { type minimalConfig, yamlOf } from './support/config.ts';
import { cpuMs } from './support/cpu.ts';

type Tree = ReturnType<typeof minimalConfig>;

function problemsOf(text: string): readonly string[] {
  try {
    parseConfig(text);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, `not a ConfigError: ${error}`);
    assert.ok(error.problems.length > 0);
    return error.problems;
  }
}

const problems = (adjust: (config: Tree) => void): readonly string[] => problemsOf(yamlOf(adjust));

const withMint = (config: Tree, keys: object[] = [{ kid: 'k1', keyFile: 'k1.pem' }]) => {
  config.delegation.mint = { issuer: 'https://gateway.example/authz', keys };
};

suite('a configuration', () => {
  test('needs little, and is safe by default', () => {
    const { server, admin, wellKnown, mcp, delegation, resources, issuers, decisionLog } = parseConfig(yamlOf());
    assert.equal(server.listen, '127.0.0.1:9191');
    assert.equal(server.allowPlaintextNetwork, false);
    assert.equal(admin.listen, '127.0.0.1:9192');
    assert.equal(wellKnown, undefined);
    assert.deepEqual(mcp.allowedOrigins, []);
    assert.deepEqual([delegation.mode, delegation.maxTtlSeconds, delegation.header], ['exchange', 5, 'authorization']);
    assert.equal(delegation.exchange?.allowMissingActor, false);
    assert.deepEqual([resources[0]?.denials, resources[0]?.audiences], ['conversational', []]);
    assert.deepEqual(issuers[0]?.tokenTypes, ['at+jwt']);
    assert.ok(!issuers[0]?.algorithms.some((alg) => /^(HS|none)/.test(alg)));
    assert.equal(decisionLog.file, '-');
  });

  test('of the reference deployment has nothing wrong', () => {
    parseConfig(readFileSync(new URL('../../examples/reference/mcp-ext-authz.yaml', import.meta.url), 'utf8'));
  });

  test('cannot be changed once it is read', () => {
    const config = parseConfig(yamlOf()) as {
      server: { listen: string };
      resources: unknown[];
      issuers: { algorithms: string[] }[];
    };
    assert.throws(() => {
      config.server.listen = '0.0.0.0:1';
    }, TypeError);
    assert.throws(() => config.resources.push({}), TypeError);
    assert.throws(() => config.issuers[0]?.algorithms.push('none'), TypeError);
  });

  test('may be written with anchors', () => {
    const text = yamlOf((config) => {
      const tools = { read: { annotations: { readOnlyHint: true } } };
      config.resources[0].tools = tools;
      config.resources.push({ name: 'b', path: '/b', publicUrls: ['https://gateway.example/b'], tools });
    });
    assert.match(text, /[&*]a1/);
    const [first, second] = parseConfig(text).resources;
    assert.deepEqual(first?.tools, second?.tools);
  });
});

suite('what is wrong', () => {
  test('is told all at once, each with its path', () => {
    const found = problems((config) => {
      config.server = { listen: 'everywhere', maxInFlight: 0, tls: { certFile: 'a' } };
      config.issuers[0].issuer = 'http://as.example';
      config.issuers[0].algorithms = ['none'];
      config.resources[0].name = 'Ledger!';
      config.resources[0].publicUrls = [];
      config.policy = { maxBundleBytes: 0 };
      config.delegation.maxTtlSeconds = 61;
      config.surplus = 1;
    });
    const paths = found.map((problem) => problem.split(': ')[0]).sort();
    assert.deepEqual(paths, [
      ...[
        'delegation.maxTtlSeconds',
        'issuers[0].algorithms[0]',
        'issuers[0].issuer',
        'policy.maxBundleBytes',
        'resources[0].name',
      ],
      ...[
        'resources[0].publicUrls',
        'server.listen',
        'server.maxInFlight',
        'server.tls.clientCaFile',
        'server.tls.keyFile',
        'surplus',
      ],
    ]);
  });

  test('between settings is told in the same go', () => {
    const found = problems((config) => {
      config.delegation.actor = 5;
      config.server = { listen: '0.0.0.0:9191' };
      config.resources[0].issuers = ['https://other.example'];
    });
    const paths = found.map((problem) => problem.split(': ')[0]).sort();
    assert.deepEqual(paths, ['delegation.actor', 'resources[0].issuers', 'server.listen']);
  });

  test('is every setting that does not exist, wherever it stands', () => {
    const places: Record<string, (config: Tree) => void> = {
      serverr: (config) => {
        config.serverr = {};
      },
      'server.port': (config) => {
        config.server = { port: 1 };
      },
      'issuers[0].audience': (config) => {
        config.issuers[0].audience = 'x';
      },
      'resources[0].strict': (config) => {
        config.resources[0].strict = true;
      },
      'resources[0].tools.a.hint': (config) => {
        config.resources[0].tools = { a: { hint: 1 } };
      },
      'delegation.exchange.secret': (config) => {
        config.delegation.exchange.secret = 'hunter2';
      },
      'delegation.exchange.clientAuthentication.clientSecret': (config) => {
        config.delegation.exchange.clientAuthentication.clientSecret = 'hunter2';
      },
    };
    for (const [path, adjust] of Object.entries(places)) {
      const found = problems(adjust);
      assert.deepEqual(found, [`${path}: there is no such setting`]);
    }
  });

  test('is a file that is no YAML, or more or less than one document', () => {
    for (const text of [
      '',
      '# nothing',
      'null',
      '[]',
      'just text',
      '42',
      'a: b: c',
      '{',
      'a: 1\n---\nb: 2',
      '\tserver: {}',
      'x: !!js/function 1',
    ]) {
      assert.ok(problemsOf(text).length > 0, text);
    }
  });

  test('is a key that is there twice', () => {
    assert.match(problemsOf(`${yamlOf()}\npolicy:\n  bundleFile: other.tar.gz\n`).join(), /unique/);
    assert.match(problemsOf('server: {listen: "127.0.0.1:1", listen: "127.0.0.1:2"}').join(), /unique/);
  });

  test('is an anchor that goes in circles or multiplies', () => {
    const circle = `${yamlOf()}resources2: &a\n  - *a\n`;
    assert.ok(problemsOf(circle).length > 0);
    const inTools = yamlOf((config) => {
      config.resources[0].tools = { a: { annotations: { x: 1 } } };
    }).replace('annotations:\n          x: 1', 'annotations: &round\n          x: *round');
    assert.match(inTools, /&round/);
    assert.match(problemsOf(inTools).join(), /in circles or multiply/);

    const laughs = Array.from({ length: 9 }, (_, level) => `a${level + 1}: &a${level + 1} [${`*a${level},`.repeat(9)}]`);
    const start = cpuMs();
    assert.ok(problemsOf(`a0: &a0 lol\n${laughs.join('\n')}\n`).length > 0);
    assert.ok(cpuMs() - start < 2000);
  });

  test('is told without values: one may be a secret in the wrong place', () => {
    const wrong: ((config: Tree) => void)[] = [
      (config) => {
        config.delegation.exchange.clientAuthentication = { method: 'client_secret_basic', secret: 'hunter2' };
      },
      (config) => {
        config.delegation.exchange.clientAuthentication.secret = { value: 'hunter2' };
      },
      (config) => {
        config.delegation.exchange.clientAuthentication = 'hunter2';
      },
      (config) => {
        config.delegation.exchange.clientAuthentication.method = 'hunter2';
      },
      (config) => {
        config.issuers[0].issuer = 'https://user:hunter2@as.example';
      },
      (config) => {
        config.delegation.exchange.issuer = ['hunter2'];
      },
    ];
    for (const adjust of wrong) {
      const found = problems(adjust).join('\n');
      assert.ok(found.length > 0 && !found.includes('hunter2'), found);
    }
    assert.ok(!problemsOf('secret: "hunter2\n  : : [').join().includes('hunter2'));
  });
});

suite('a setting', () => {
  type Case = readonly [
    path: string,
    adjust: (config: Tree, value: unknown) => void,
    good: readonly unknown[],
    bad: readonly unknown[],
  ];
  const cases: readonly Case[] = [
    [
      'server.listen',
      (config, value) => {
        config.server = { listen: value };
      },
      ['127.0.0.1:9191', 'localhost:0', '[::1]:65535', 'unix:///run/a.sock'],
      [
        '',
        '9191',
        ':9191',
        '127.0.0.1',
        '127.0.0.1:',
        '127.0.0.1:65536',
        '127.0.0.1:999999',
        'unix:a',
        'unix://a',
        'http://localhost:1',
        'a b:1',
        1,
      ],
    ],
    [
      'issuers[0].issuer',
      (config, value) => {
        config.issuers[0].issuer = value;
      },
      ['https://as.example/realms/a', 'http://localhost:9000', 'http://127.0.0.1:9000'],
      ['as.example', 'http://as.example', 'https://as.example/#x', 'ftp://as.example', '', null],
    ],
    [
      'resources[0].path',
      (config, value) => {
        config.resources[0].path = value;
      },
      ['/', '/mcp', '/a/b/mcp'],
      ['', 'mcp', '/mcp?x', '/mcp#x', '/m cp', '/mcp\n', '*'],
    ],
    [
      'resources[0].name',
      (config, value) => {
        config.resources[0].name = value;
      },
      ['ledger', 'ledger-2', '2'],
      ['', 'Ledger', 'led_ger', '-ledger', 'ledger-', 'a b', 'a"b', 'ledger\n'],
    ],
    [
      'resources[0].scopesSupported[0]',
      (config, value) => {
        config.resources[0].scopesSupported = [value];
      },
      ['ledger:read', '!'],
      ['', 'a b', 'a"b', 'a\\b', 'ä', 'a\r\nb'],
    ],
    [
      'mcp.allowedOrigins[0]',
      (config, value) => {
        config.mcp = { allowedOrigins: [value] };
      },
      ['https://app.example', 'http://localhost:5173', 'chrome-extension://abc'],
      ['*', 'null', 'app.example', 'https://app.example/', 'https://a b', 'https://', 'HTTPS://APP.EXAMPLE', 'https://a\r\nx: y'],
    ],
    [
      'delegation.header',
      (config, value) => {
        config.delegation.header = value;
      },
      ['authorization', 'txn-token', 'x-delegation-token', 'proxy-authorization'],
      [
        ...[
          'Authorization',
          'x_token',
          '',
          ':path',
          'a b',
          'a\r\nb',
          'host',
          'cookie',
          'content-length',
          'content-type',
          'connection',
          'te',
        ],
        ...[
          'mcp-session-id',
          'mcp-method',
          'x-envoy-retry-on',
          'x-forwarded-for',
          'x-request-id',
          'traceparent',
          'transfer-encoding',
        ],
      ],
    ],
    [
      'policy.headers[0]',
      (config, value) => {
        config.policy.headers = [value];
      },
      ['x-region', 'user-agent', 'x-forwarded-for'],
      ['authorization', 'cookie', 'proxy-authorization', 'dpop', 'X-Region', 'x_region', ''],
    ],
    [
      'delegation.maxTtlSeconds',
      (config, value) => {
        config.delegation.maxTtlSeconds = value;
      },
      [1, 5, 60],
      [0, -1, 61, 1.5, '5', null, Number.NaN, Number.POSITIVE_INFINITY],
    ],
    [
      'server.drainMs',
      (config, value) => {
        config.server = { drainMs: value };
      },
      [1, 2 ** 31 - 1],
      [0, 2 ** 31, 1e12, 0.5],
    ],
    [
      'httpClient.timeoutMs',
      (config, value) => {
        config.httpClient = { timeoutMs: value };
      },
      [1, 5000],
      [0, 2 ** 31, '5s'],
    ],
    [
      'tokens.cacheEntries',
      (config, value) => {
        config.tokens = { cacheEntries: value };
      },
      [1, 1_000_000],
      [0, 1_000_001],
    ],
    [
      'policy.maxMemoryBytes',
      (config, value) => {
        config.policy.maxMemoryBytes = value;
      },
      [1, 2 ** 32],
      [0, 2 ** 32 + 1],
    ],
    [
      'delegation.exchange.clientAuthentication.secret.env',
      (config, value) => {
        config.delegation.exchange.clientAuthentication.secret = { env: value };
      },
      ['GATEWAY_SECRET', '_A1'],
      ['gateway', '1A', '$A', '', 'A B'],
    ],
  ];
  for (const [path, adjust, good, bad] of cases) {
    test(`${path} takes what it can be`, () => {
      for (const value of good)
        assert.deepEqual(
          problems((config) => adjust(config, value)),
          [],
          String(value),
        );
      for (const value of bad) {
        const found = problems((config) => adjust(config, value));
        assert.ok(found.length > 0, `${JSON.stringify(value)} passed`);
        const place = path.replace('.env', '');
        assert.ok(
          found.every((problem) => problem.startsWith(place)),
          found.join(),
        );
      }
    });
  }
});

suite('settings that do not go together', () => {
  const cases: readonly (readonly [problem: RegExp, adjust: (config: Tree) => void])[] = [
    [
      /^server.maxMessageBytes: must be larger/,
      (config) => Object.assign(config, { server: { maxMessageBytes: 1000 }, mcp: { maxBodyBytes: 1000 } }),
    ],
    [/^server.listen: other hosts can reach it/, (config) => Object.assign(config, { server: { listen: '0.0.0.0:9191' } })],
    [/^server.listen: other hosts/, (config) => Object.assign(config, { server: { listen: '[::]:9191' } })],
    [/^server.listen: other hosts/, (config) => Object.assign(config, { server: { listen: 'authz.example:9191' } })],
    [
      /^issuers\[1\].issuer: https:\/\/as.example is there twice/,
      (config) => config.issuers.push({ issuer: 'https://as.example' }),
    ],
    [
      /^resources\[1\].name: ledger is there twice/,
      (config) => config.resources.push({ ...config.resources[0], path: '/b', publicUrls: ['https://gateway.example/b'] }),
    ],
    [
      /^resources\[1\].path: \/ledger\/mcp is there twice/,
      (config) => config.resources.push({ ...config.resources[0], name: 'b', publicUrls: ['https://gateway.example/b'] }),
    ],
    [
      /^resources\[1\].publicUrls\[0\]: its metadata would be at \S+\/ledger\/mcp, as that of resources\[0\]/,
      (config) => config.resources.push({ name: 'b', path: '/b', publicUrls: ['https://other.example/ledger/mcp'] }),
    ],
    [
      /^resources\[0\].issuers: https:\/\/other.example is not among issuers/,
      (config) => (config.resources[0].issuers = ['https://other.example']),
    ],
    [
      /^resources\[0\]: its delegation is exchange, so delegation.exchange is needed/,
      (config) => delete config.delegation.exchange,
    ],
    [
      /^resources\[0\]: its delegation is mint, so delegation.mint is needed/,
      (config) => (config.resources[0].delegation = 'mint'),
    ],
    [
      /^delegation.mint.issuer: must not be among issuers/,
      (config) => {
        withMint(config);
        config.issuers.push({ issuer: 'https://gateway.example/authz' });
      },
    ],
    [
      /^delegation.mint.keys\[1\].kid: k1 is there twice/,
      (config) =>
        withMint(config, [
          { kid: 'k1', keyFile: 'a.pem' },
          { kid: 'k1', keyFile: 'b.pem' },
        ]),
    ],
  ];
  for (const [problem, adjust] of cases) {
    test(String(problem), () => {
      const found = problems(adjust);
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] as string, problem);
    });
  }

  test('are all told together', () => {
    const found = problems((config) => {
      config.server = { listen: '0.0.0.0:9191' };
      config.issuers.push({ issuer: 'https://as.example' });
      delete config.delegation.exchange;
    });
    assert.equal(found.length, 3);
  });

  test('are no problem where they do', () => {
    const fine: ((config: Tree) => void)[] = [
      (config) => Object.assign(config, { server: { listen: '0.0.0.0:9191', allowPlaintextNetwork: true } }),
      (config) =>
        Object.assign(config, { server: { listen: '0.0.0.0:9191', tls: { certFile: 'a', keyFile: 'b', clientCaFile: 'c' } } }),
      (config) => {
        withMint(config);
        config.delegation.mode = 'mint';
        delete config.delegation.exchange;
      },
      (config) => {
        config.delegation.mode = 'none';
        delete config.delegation.exchange;
      },
      (config) => config.resources[0].publicUrls.push('https://tunnel.example/ledger/mcp'),
    ];
    for (const adjust of fine) assert.deepEqual(problems(adjust), []);
  });
});

suite('names that mean something to JavaScript', () => {
  test('are settings that do not exist', () => {
    assert.ok(problemsOf(`${yamlOf()}__proto__: {polluted: true}\n`).length > 0);
    assert.ok(problemsOf(`${yamlOf()}constructor: {prototype: {polluted: true}}\n`).length > 0);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });

  test('may be names of tools and claims, if of anything', () => {
    for (const name of ['constructor', 'toString']) {
      const text = yamlOf((config) => {
        config.resources[0].tools = { [name]: { title: 'T' } };
        config.issuers[0].claims = { [name]: ['a'] };
      });
      const config: Config = parseConfig(text);
      assert.equal(config.resources[0]?.tools[name]?.title, 'T');
      assert.deepEqual(config.issuers[0]?.claims[name], ['a']);
    }
  });
});

test('no text does anything but be read or be refused', () => {
  const lines = yamlOf().split('\n');
  const edits = fc.array(
    fc.tuple(
      fc.nat(lines.length - 1),
      fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('', '- *a', '? x', '&a', '!!binary x', '<<: *b', '"')),
    ),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(edits, (changes) => {
      const text = [...lines];
      for (const [at, line] of changes) text[at] = line;
      problemsOf(text.join('\n'));
    }),
    { numRuns: 200 },
  );
});

suite('where policy comes from', () => {
  const service = { name: 'control', url: 'https://bundles.example/opa' };
  const bundle = { service: 'control', resource: 'b.tar.gz' };
  const key = { id: 'k1', algorithm: 'ES256', publicKeyFile: 'k1.pem' };

  test('is a file or a server', () => {
    const fine: ((config: ReturnType<typeof minimalConfig>) => void)[] = [
      () => {},
      (config) => Object.assign(config, { services: [service], policy: { bundle } }),
      (config) => Object.assign(config.policy, { keys: [key], signing: { keyId: 'k1' } }),
      (config) => Object.assign(config, { services: [{ ...service, url: 'http://127.0.0.1:8080/' }] }),
      (config) => Object.assign(config, { services: [{ ...service, url: 'http://s3.lan/', allowPlaintext: true }] }),
    ];
    for (const adjust of fine) assert.deepEqual(problems(adjust), []);
  });

  const wrong: [change: (config: any) => void, problem: RegExp][] = [
    [(config) => (config.policy = {}), /^policy: needs bundleFile or bundle$/],
    [
      (config) => Object.assign(config, { services: [service], policy: { bundle, bundleFile: 'b' } }),
      /^policy: bundleFile or bundle, not both$/,
    ],
    [(config) => (config.policy = { bundle }), /^policy.bundle.service: control is not among services$/],
    [(config) => Object.assign(config, { services: [service, service] }), /control is there twice/],
    [(config) => (config.policy.keys = [key]), /^policy.keys: without policy.signing no signature would be asked for$/],
    [(config) => (config.policy.signing = { keyId: 'k1' }), /^policy.signing.keyId: k1 is not among policy.keys$/],
    [(config) => Object.assign(config.policy, { keys: [key, key], signing: { keyId: 'k1' } }), /k1 is there twice/],
    [
      (config) => Object.assign(config.policy, { keys: [{ ...key, algorithm: 'HS256' }], signing: { keyId: 'k1' } }),
      /needs publicKeyFile/,
    ],
    [
      (config) => Object.assign(config.policy, { keys: [{ ...key, algorithm: 'none' }], signing: { keyId: 'k1' } }),
      /^policy.keys\[0\].algorithm/,
    ],
    [(config) => Object.assign(config.policy, { polling: { minDelayMs: 9, maxDelayMs: 8 } }), /^policy.polling.minDelayMs/],
    [(config) => (config.policy.shadow = {}), /^policy.shadow: needs bundleFile or bundle$/],
    [
      (config) => Object.assign(config.policy, { keys: [key], signing: { keyId: 'k1' }, shadow: { bundleFile: 's' } }),
      /^policy.shadow.signing: needed/,
    ],
    [(config) => (config.services = [{ ...service, url: 'http://s3.lan/' }]), /^services\[0\].url: use https/],
    [(config) => (config.services = [{ ...service, url: 'https://user:geheim@s3.lan/' }]), /^services\[0\].url/],
    [
      (config) => (config.services = [{ ...service, headers: { authorization: 'geheim' } }]),
      /^services\[0\].headers: credentials/,
    ],
    [(config) => (config.services = [{ ...service, credentials: {} }]), /^services\[0\].credentials: use one of/],
    [
      (config) =>
        (config.services = [
          { ...service, credentials: { bearer: { env: 'TOKEN' }, clientTls: { certFile: 'c', keyFile: 'k' } } },
        ]),
      /^services\[0\].credentials: use one of/,
    ],
    [
      (config) =>
        (config.services = [
          { ...service, url: 'http://s3.lan', allowPlaintext: true, credentials: { bearer: { env: 'TOKEN' } } },
        ]),
      /^services\[0\].credentials: a token must not go over plain http/,
    ],
  ];
  for (const [change, problem] of wrong) {
    test(`${problem.source} is told`, () => {
      const found = problems(change);
      assert.equal(found.filter((one) => problem.test(one)).length, 1, found.join('\n'));
      assert.ok(!found.join().includes('geheim'));
    });
  }
});
