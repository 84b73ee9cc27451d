// Verifies what a receiver got with the package `standardwebhooks` of npm.
//
//     node verify.mjs RECEIVED
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const accepts = (secret, { headers, body }) => {
    try {
        new Webhook(secret).verify(body, headers);
        return true;
    } catch (error) {
        if (error instanceof WebhookVerificationError) return false;
        throw error;
    }
};

const deliveries = JSON.parse(readFileSync(process.argv[2], "utf8"));
let overlapping = 0;
for (const { headers, body, good, bad } of deliveries) {
    for (const secret of good) {
        assert(accepts(secret, { headers, body }), "a delivery is not verified");
        const forged = body.replace("Clinic", "Clink");
        assert(forged !== body && !accepts(secret, { headers, body: forged }), "a forged body is taken");
        const before = new Date(Date.now() - 600_000);
        const old = { ...headers, "webhook-timestamp": String(Math.floor(before / 1000)) };
        assert(!accepts(secret, { headers: old, body }), "another time is taken");
        old["webhook-signature"] = new Webhook(secret).sign(headers["webhook-id"], before, body);
        assert(!accepts(secret, { headers: old, body }), "an old delivery is taken");
    }
    for (const secret of bad) assert(!accepts(secret, { headers, body }), "a wrong secret verifies");
    overlapping += good.length > 1 ? 1 : 0;
}
assert(deliveries.length > overlapping && overlapping > 0, "deliveries came with one secret and with two");
console.log(`JavaScript: ${deliveries.length} requests verified, ${overlapping} of which by two secrets.`);
