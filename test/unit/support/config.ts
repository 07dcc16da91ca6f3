/** A configuration with no more in it than there must be, as a tree to be changed and as the YAML it is read from. */
import { stringify } from 'yaml';

type Tree = Record<string, any>;

export function minimalConfig(): Tree {
  return {
    issuers: [{ issuer: 'https://as.example' }],
    resources: [{ name: 'ledger', path: '/ledger/mcp', publicUrls: ['https://gateway.example/ledger/mcp'] }],
    policy: { bundleFile: 'bundle.tar.gz' },
    delegation: {
      actor: 'ai-identity-gateway',
      exchange: {
        issuer: 'https://as.example',
        clientId: 'ai-identity-gateway',
        clientAuthentication: { method: 'client_secret_basic', secret: { env: 'GATEWAY_SECRET' } },
      },
    },
  };
}

export function yamlOf(adjust: (config: Tree) => void = () => {}): string {
  const config = minimalConfig();
  adjust(config);
  return stringify(config);
}
