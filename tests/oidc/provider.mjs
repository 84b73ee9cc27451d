// An OpenID Connect provider on a free loopback port, for the tests: `node provider.mjs REDIRECT_URI`.
//
// Its first line of output is its issuer. Each line of its input is a JSON object, account id → claims, that takes the
// place of the accounts before. It ends when its input ends, so it never outlives the test. Whoever posts the form may be
// anybody: this is no way to build a provider.
import { createServer } from "node:http";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const redirectUri = process.argv[2];
let accounts = {};

function key(kid, alg, type, options) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" };
}

const configuration = {
  jwks: {
    keys: [
      key("rsa-key", "RS256", "rsa", { modulusLength: 2048 }),
      key("ec-key", "ES256", "ec", { namedCurve: "P-256" }),
    ],
  },
  clients: [
    {
      client_id: "benchside",
      client_secret: "a secret of the tests",
      redirect_uris: [redirectUri],
      id_token_signed_response_alg: "ES256",
    },
    {
      client_id: "program",
      token_endpoint_auth_method: "none",
      redirect_uris: ["http://127.0.0.1:1/callback"],
    },
  ],
  claims: {
    openid: ["sub"],
    email: ["email", "email_verified"],
    profile: ["name"],
    groups: ["groups"],
  },
  scopes: ["openid", "offline_access", "api"],
  cookies: { keys: [randomBytes(32).toString("hex")] },
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, audience) => ({
        scope: "api",
        audience,
        accessTokenTTL: 300,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "RS256" } },
      }),
      useGrantedResource: () => true,
    },
  },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  extraTokenClaims: (_ctx, token) => accounts[token.accountId],
  findAccount: (_ctx, id) =>
    accounts[id] && { accountId: id, claims: () => ({ sub: id, ...accounts[id] }) },
  // Everything that is asked for is consented to.
  async loadExistingGrant(ctx) {
    const { client, session, provider, params } = ctx.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope);
    if (params.resource) grant.addResourceScope(params.resource, "api");
    await grant.save();
    return grant;
  },
  renderError(ctx, out) {
    ctx.type = "json";
    ctx.body = out;
  },
};

async function form(request) {
  let body = "";
  for await (const chunk of request) body += chunk;
  return new URLSearchParams(body);
}

// The page where people sign in: a form with one field.
async function interact(provider, request, response) {
  const { prompt } = await provider.interactionDetails(request, response);
  if (request.method !== "POST") {
    response.setHeader("content-type", "text/html");
    response.end(`<form method="post"><input name="login" data-prompt="${prompt.name}"></form>`);
    return;
  }
  const login = (await form(request)).get("login");
  const result = accounts[login]
    ? { login: { accountId: login } }
    : { error: "access_denied", error_description: "nobody is called so" };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration);
  const handle = provider.callback();
  server.on("request", (request, response) => {
    if (!request.url.startsWith("/interaction/")) return handle(request, response);
    interact(provider, request, response).catch((error) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });
  console.log(issuer);
});

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  accounts = JSON.parse(line);
  console.log("ready");
});
lines.on("close", () => process.exit(0));
