//! The snippets for receivers, run in their own languages over the same cases: each must say what our own verifier says. A
//! language that this machine does not have is left out.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use guardian_core::Timestamp;
use guardian_webhook::tools::{Language, snippet};
use guardian_webhook::{Secret, SignedContent, Verifier, sign_v1};
use http::{HeaderMap, HeaderValue};

const NOW: i64 = 1_780_000_000;

/// A request as a line of a table: secret, id, timestamp, signatures, body in base64; `-` is a header that is missing.
struct Case {
    what: &'static str,
    id: String,
    timestamp: String,
    signatures: String,
    body: Vec<u8>,
    holds: bool,
}

fn secret() -> Secret {
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".parse().unwrap()
}

fn sign(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> String {
    sign_v1(secret, &SignedContent::new(id, timestamp, body).unwrap()).unwrap()
}

fn cases() -> Vec<Case> {
    let body = "{\"text\":\"Grüße, 你好\"}".as_bytes();
    let other: Secret = "whsec_AAAAsBQIhrscChlQIMV+b5sSYspob7oD".parse().unwrap();
    let right = sign(&secret(), "msg_1", NOW, body);
    let wrong = sign(&other, "msg_1", NOW, body);
    let case = |what, timestamp: &str, signatures: &str, body: &[u8], holds| Case {
        what,
        id: "msg_1".to_owned(),
        timestamp: timestamp.to_owned(),
        signatures: signatures.to_owned(),
        body: body.to_vec(),
        holds,
    };
    let now = NOW.to_string();
    let at = |seconds: i64| (NOW + seconds).to_string();
    let signed_at = |seconds: i64| sign(&secret(), "msg_1", NOW + seconds, body);
    let binary: Vec<u8> = (0..=255).collect();
    vec![
        case("as it was sent", &now, &right, body, true),
        case("an empty body", &now, &sign(&secret(), "msg_1", NOW, b""), b"", true),
        case("any bytes", &now, &sign(&secret(), "msg_1", NOW, &binary), &binary, true),
        case("the second of two keys", &now, &format!("{wrong} {right}"), body, true),
        case("beside a signature of another kind", &now, &format!("v1a,AAAA {right}"), body, true),
        case("the edge of the past", &at(-300), &signed_at(-300), body, true),
        case("the edge of the future", &at(300), &signed_at(300), body, true),
        case("too old", &at(-301), &signed_at(-301), body, false),
        case("too far ahead", &at(301), &signed_at(301), body, false),
        case("another key", &now, &wrong, body, false),
        case("another body", &now, &right, b"{}", false),
        case("another time", &at(1), &right, body, false),
        case("a cut signature", &now, right.get(..20).unwrap(), body, false),
        case("a signature of another kind alone", &now, &right.replace("v1,", "v1a,"), body, false),
        case("no kind", &now, right.trim_start_matches("v1,"), body, false),
        case("no base64", &now, "v1,$$$$", body, false),
        case("nothing behind the comma", &now, "v1,", body, false),
        case("no time", "soon", &right, body, false),
        case("a time before all times", "-1", &right, body, false),
        case("a time that is too long", &"9".repeat(40), &right, body, false),
        case("no header of the time", "-", &right, body, false),
        case("no header of the signature", &now, "-", body, false),
        Case { id: "-".to_owned(), ..case("no header of the id", &now, &right, body, false) },
        Case { id: "msg_2".to_owned(), ..case("another id", &now, &right, body, false) },
    ]
}

fn ours(case: &Case) -> bool {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("webhook-id", &case.id),
        ("webhook-timestamp", &case.timestamp),
        ("webhook-signature", &case.signatures),
    ] {
        if value != "-" {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
    }
    let verifier = Verifier::standard([secret()], []).unwrap();
    verifier.verify(&headers, &case.body, Timestamp::from_timestamp(NOW, 0).unwrap()).is_ok()
}

/// The snippet with what reads the table and prints a digit a line; the name of its file, and what runs it there.
fn program(language: Language) -> (&'static str, String, &'static [&'static str]) {
    let own = snippet(language);
    match language {
        Language::JavaScript => (
            "verify_all.js",
            format!(
                "{own}\nfor (const line of require('fs').readFileSync('cases', 'utf8').trim().split('\\n')) {{\n\
                 const [secret, id, time, signature, body, now] = line.split('\\t');\n\
                 const headers = {{}};\n\
                 if (id !== '-') headers['webhook-id'] = id;\n\
                 if (time !== '-') headers['webhook-timestamp'] = time;\n\
                 if (signature !== '-') headers['webhook-signature'] = signature;\n\
                 console.log(verify(secret, headers, Buffer.from(body, 'base64'), Number(now)) ? 1 : 0);\n}}\n"
            ),
            &["node", "verify_all.js"],
        ),
        Language::Python => (
            "verify_all.py",
            format!(
                "{own}\nfor line in open('cases').read().strip('\\n').split('\\n'):\n    \
                 secret, id_, stamp, signature, body, now = line.split('\\t')\n    \
                 names = {{'webhook-id': id_, 'webhook-timestamp': stamp, 'webhook-signature': signature}}\n    \
                 headers = {{k: v for k, v in names.items() if v != '-'}}\n    \
                 print(int(bool(verify(secret, headers, base64.b64decode(body), int(now)))))\n"
            ),
            &["python3", "verify_all.py"],
        ),
        Language::Go => (
            "verify_all.go",
            own.replace("package webhook", "package main")
                .replace("\"encoding/base64\"", "\"encoding/base64\"\n\t\"fmt\"\n\t\"os\"")
                + "\nfunc main() {\n\ttext, _ := os.ReadFile(\"cases\")\n\
                   \tfor _, line := range strings.Split(strings.Trim(string(text), \"\\n\"), \"\\n\") {\n\
                   \t\tf := strings.Split(line, \"\\t\")\n\t\theaders := http.Header{}\n\
                   \t\tfor at, name := range []string{\"webhook-id\", \"webhook-timestamp\", \"webhook-signature\"} {\n\
                   \t\t\tif f[at+1] != \"-\" {\n\t\t\t\theaders.Set(name, f[at+1])\n\t\t\t}\n\t\t}\n\
                   \t\tbody, _ := base64.StdEncoding.DecodeString(f[4])\n\t\tnow, _ := strconv.ParseInt(f[5], 10, 64)\n\
                   \t\tif Verify(f[0], headers, body, time.Unix(now, 0)) {\n\t\t\tfmt.Println(1)\n\t\t} else {\n\t\t\tfmt.Println(0)\n\t\t}\n\t}\n}\n",
            &["go", "run", "verify_all.go"],
        ),
        Language::Ruby => (
            "verify_all.rb",
            format!(
                "{own}\nFile.read('cases').strip.split(\"\\n\").each do |line|\n\
                 secret, id, time, signature, body, now = line.split(\"\\t\")\n\
                 headers = {{ 'webhook-id' => id, 'webhook-timestamp' => time, 'webhook-signature' => signature }}.reject {{ |_, v| v == '-' }}\n\
                 puts verify(secret, headers, body.unpack1('m'), now.to_i) ? 1 : 0\nend\n"
            ),
            &["ruby", "verify_all.rb"],
        ),
        Language::Php => (
            "verify_all.php",
            format!(
                "{own}\nforeach (explode(\"\\n\", trim(file_get_contents('cases'), \"\\n\")) as $line) {{\n\
                 [$secret, $id, $time, $signature, $body, $now] = explode(\"\\t\", $line);\n\
                 $all = ['webhook-id' => $id, 'webhook-timestamp' => $time, 'webhook-signature' => $signature];\n\
                 $headers = array_filter($all, fn ($v) => $v !== '-');\n\
                 echo verify($secret, $headers, base64_decode($body), (int) $now) ? 1 : 0, \"\\n\";\n}}\n"
            ),
            &["php", "verify_all.php"],
        ),
        _ => (
            "All.java",
            String::from(
                "import java.nio.file.*;\nimport java.util.*;\nfinal class All {\n  public static void main(String[] a) throws Exception {\n\
                 for (String line : Files.readAllLines(Path.of(\"cases\"))) {\n\
                 String[] f = line.split(\"\\t\", -1);\n    Map<String, String> headers = new HashMap<>();\n\
                 String[] names = {\"webhook-id\", \"webhook-timestamp\", \"webhook-signature\"};\n\
                 for (int at = 0; at < 3; at++) if (!f[at + 1].equals(\"-\")) headers.put(names[at], f[at + 1]);\n\
                 boolean holds = Verify.verify(f[0], headers, Base64.getDecoder().decode(f[4]), Long.parseLong(f[5]));\n\
                 System.out.println(holds ? 1 : 0);\n    }\n  }\n}\n",
            ),
            &["sh", "-c", "javac Verify.java All.java && java All"],
        ),
    }
}

/// What the snippet says of each case; `None` where the machine does not have the language.
fn theirs(language: Language, folder: &Path) -> Option<Vec<bool>> {
    let (file, text, command) = program(language);
    std::fs::write(folder.join(file), text).unwrap();
    if language == Language::Java {
        // Whether it is there at all, the shell would not say.
        Command::new("javac").arg("-version").output().ok()?;
        std::fs::write(folder.join("Verify.java"), snippet(language)).unwrap();
    }
    let [name, arguments @ ..] = command else { return None };
    let mut command = Command::new(name);
    // What Go builds goes away with the folder.
    command.args(arguments).current_dir(folder).env("GOCACHE", folder.join("go")).env("GO111MODULE", "off");
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{language}: {}", String::from_utf8_lossy(&output.stderr));
    Some(said.lines().map(|line| line == "1").collect())
}

#[test]
fn snippets_say_what_the_verifier_says() {
    let cases = cases();
    let table: String = cases
        .iter()
        .map(|case| {
            let body = STANDARD.encode(&case.body);
            let Case { id, timestamp, signatures, .. } = case;
            format!(
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\t{id}\t{timestamp}\t{signatures}\t{body}\t{NOW}\n"
            )
        })
        .collect();
    for case in &cases {
        assert_eq!(ours(case), case.holds, "our own: {}", case.what);
    }
    for language in Language::ALL {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cases"), &table).unwrap();
        let Some(said) = theirs(language, folder.path()) else { continue };
        assert_eq!(said.len(), cases.len(), "{language}");
        for (case, said) in cases.iter().zip(said) {
            assert_eq!(said, case.holds, "{language}: {}", case.what);
        }
    }
}
