import base64
import binascii
import hashlib
import hmac
import time


def verify(secret, headers, body, now=None):
    """body: the raw bytes; headers: names in lower case."""
    now = int(time.time()) if now is None else now
    msg_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not msg_id or not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp)) > 300:
        return False
    text = secret.removeprefix("whsec_")
    key = base64.b64decode(text + "=" * (-len(text) % 4))
    expected = hmac.new(key, f"{msg_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    for signature in headers.get("webhook-signature", "").split(" "):
        version, _, given = signature.partition(",")
        try:
            if version == "v1" and hmac.compare_digest(base64.b64decode(given), expected):
                return True
        except binascii.Error:
            continue
    return False
