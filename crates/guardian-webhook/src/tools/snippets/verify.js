const { createHmac, timingSafeEqual } = require("node:crypto");

// body: the raw bytes (Buffer); headers: names in lower case.
function verify(secret, headers, body, now = Math.floor(Date.now() / 1000)) {
  const id = headers["webhook-id"], timestamp = headers["webhook-timestamp"];
  if (!id || !/^\d{1,15}$/.test(timestamp ?? "") || Math.abs(now - Number(timestamp)) > 300) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  return (headers["webhook-signature"] ?? "").split(" ").some((signature) => {
    if (!signature.startsWith("v1,")) return false;
    const given = Buffer.from(signature.slice(3), "base64");
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

module.exports = { verify };
