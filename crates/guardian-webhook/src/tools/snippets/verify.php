<?php

// $body: the raw bytes, file_get_contents('php://input'); $headers: names in lower case.
function verify(string $secret, array $headers, string $body, ?int $now = null): bool
{
    $now ??= time();
    $id = $headers['webhook-id'] ?? '';
    $timestamp = $headers['webhook-timestamp'] ?? '';
    if ($id === '' || !preg_match('/\A\d{1,15}\z/', $timestamp) || abs($now - (int) $timestamp) > 300) {
        return false;
    }
    $key = base64_decode(preg_replace('/\Awhsec_/', '', $secret));
    $expected = hash_hmac('sha256', "$id.$timestamp.$body", $key, true);
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $signature) {
        [$version, $given] = array_pad(explode(',', $signature, 2), 2, '');
        if ($version === 'v1' && hash_equals($expected, (string) base64_decode($given, true))) {
            return true;
        }
    }
    return false;
}
