// oidc-provider is the authorization server. What this adapter adds: it knows no SMART, so the document
// .well-known/smart-configuration is ours, and it serves no FHIR. The client's key is registered
// inline, because the peer fetches no key set from loopback; so key set fetching is not proved here.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';
import { input } from './input.mjs';

const server = createServer().listen(0, '127.0.0.1', () => {
  const origin = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(origin, {
    clients: [{
      client_id: input.client,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: input.alg,
      grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
      jwks: input.jwks,
    }],
    scopes: ['system/*.rs'],
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    clientAuthMethods: ['private_key_jwt'],
    enabledJWA: { clientAuthSigningAlgValues: ['RS384', 'ES384'] },
    ttl: { ClientCredentials: input.life },
  });
  server.on('request', (req, res) => {
    if (req.url === '/fhir/.well-known/smart-configuration') {
      res.setHeader('Content-Type', 'application/json');
      res.end(JSON.stringify({
        token_endpoint: `${origin}/token`,
        token_endpoint_auth_methods_supported: ['private_key_jwt'],
        token_endpoint_auth_signing_alg_values_supported: ['RS384', 'ES384'],
        grant_types_supported: ['client_credentials'],
        capabilities: ['client-confidential-asymmetric'],
      }));
      return;
    }
    provider.callback()(req, res);
  });
  console.log(JSON.stringify({ base: `${origin}/fhir`, tokenURL: `${origin}/token` }));
});
