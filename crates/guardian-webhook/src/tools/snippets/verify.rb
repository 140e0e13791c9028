require "openssl"

# body: the raw bytes; headers: names in lower case.
def verify(secret, headers, body, now = Time.now.to_i)
  id, timestamp = headers["webhook-id"].to_s, headers["webhook-timestamp"].to_s
  return false if id.empty? || !timestamp.match?(/\A\d{1,15}\z/) || (now - timestamp.to_i).abs > 300

  key = secret.delete_prefix("whsec_").unpack1("m")
  expected = OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{timestamp}.".b + body.b)
  headers["webhook-signature"].to_s.split(" ").any? do |signature|
    version, given = signature.split(",", 2)
    given = given.to_s.unpack1("m")
    version == "v1" && given.bytesize == expected.bytesize && OpenSSL.fixed_length_secure_compare(given, expected)
  end
end
