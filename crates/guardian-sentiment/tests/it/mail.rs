use guardian_sentiment::mail::{Kind, Mail};
use proptest::prelude::*;

fn reply(text: &str) -> String {
    Mail::split(text).reply().into_owned()
}

#[test]
fn header_lines_of_many_languages() {
    for header in [
        "On Mon, Mar 2, 2026 at 9:15 AM Anna Berg <anna@example.com> wrote:",
        "On 2 Mar 2026, at 09:15, Anna Berg <anna@example.com> wrote:",
        "On Monday, March 2, 2026, Anna Berg\n<anna@example.com> wrote:",
        "On Mon, Mar 2, 2026 at 9:15 AM Anna Berg via Helpdesk Notifications\n<notifications@a-very-long-domain-name.example.com>\nwrote:",
        "Am 02.03.2026 um 09:15 schrieb Anna Berg <anna@example.com>:",
        "Am Mo., 2. März 2026 um 09:15 Uhr schrieb Anna Berg <\nanna@example.com>:",
        "Le lun. 2 mars 2026 à 09:15, Anna Berg <anna@example.com> a écrit :",
        "El lun, 2 mar 2026 a las 9:15, Anna Berg (<anna@example.com>) escribió:",
        "Il giorno lun 2 mar 2026 alle ore 09:15 Anna Berg <anna@example.com> ha scritto:",
        "Em seg., 2 de mar. de 2026 às 09:15, Anna Berg <anna@example.com> escreveu:",
        "Op ma 2 mrt 2026 om 09:15 schreef Anna Berg <anna@example.com>:",
        "Den mån 2 mars 2026 kl 09:15 skrev Anna Berg <anna@example.com>:",
        "man. 2. mar. 2026 kl. 09.15 skrev Anna Berg <anna@example.com>:",
        "W dniu 2.03.2026 o 09:15, Anna Berg pisze:",
        "pon., 2 mar 2026 o 09:15 Anna Berg <anna@example.com> napisał(a):",
        "пн, 2 мар. 2026 г. в 09:15, Anna Berg <anna@example.com>:\n> x",
        "2 марта 2026 г., 09:15, Anna Berg <anna@example.com> написал:",
        "po 2. 3. 2026 v 9:15 odesílatel Anna Berg <anna@example.com> napsal:",
        "ma 2. maalisk. 2026 klo 9.15 Anna Berg (anna@example.com) kirjoitti:",
        "Anna Berg <anna@example.com> ezt írta (időpont: 2026. márc. 2., H, 9:15):",
        "Anna Berg <anna@example.com>, 2 Mar 2026 Pzt, 09:15 tarihinde şunu yazdı:",
        "În lun., 2 mar. 2026 la 09:15, Anna Berg <anna@example.com> a scris:",
        "Στις Δευ 2 Μαρ 2026 στις 9:15, Anna Berg <anna@example.com> έγραψε:",
        "2026年3月2日(月) 9:15 Anna Berg <anna@example.com>:\n> x",
        "Anna Berg <anna@example.com> 于2026年3月2日周一 09:15写道：",
        "2026년 3월 2일 (월) 오전 9:15, Anna Berg <anna@example.com>님이 작성:",
        "Vào Th 2, 2 thg 3, 2026 vào lúc 09:15 Anna Berg <anna@example.com> đã viết:",
        "Pada Sen, 2 Mar 2026 pukul 09.15 Anna Berg <anna@example.com> menulis:",
        "2026-03-02 9:15 GMT+01:00 Anna Berg <anna@example.com>:",
    ] {
        let text = format!("It is broken again.\n\n{header}\n\n> We fixed it.\n> Great news!\n");
        assert_eq!(reply(&text), "It is broken again.", "{header}");
    }
}

#[test]
fn blocks_of_outlook() {
    for block in [
        "From: Anna Berg [mailto:anna@example.com]\nSent: Monday, March 2, 2026 9:15 AM\nTo: Help\nSubject: RE: Ticket 5",
        "________________________________\nFrom: Anna Berg <anna@example.com>\nSent: Monday, March 2, 2026 9:15 AM\nTo: Help\nSubject: RE",
        "-----Original Message-----\nFrom: Anna\n",
        "-----Ursprüngliche Nachricht-----\nVon: Anna",
        "Von: Anna Berg <anna@example.com>\nGesendet: Montag, 2. März 2026 09:15\nAn: Hilfe\nBetreff: AW: Ticket 5",
        "De : Anna Berg <anna@example.com>\nEnvoyé : lundi 2 mars 2026 09:15\nÀ : Aide\nObjet : RE: Ticket 5",
        "De: Anna Berg <anna@example.com>\nEnviado: lunes, 2 de marzo de 2026 9:15\nPara: Ayuda\nAsunto: RE: Ticket 5",
        "Da: Anna Berg <anna@example.com>\nInviato: lunedì 2 marzo 2026 09:15\nA: Aiuto\nOggetto: R: Ticket 5",
        "Van: Anna Berg <anna@example.com>\nVerzonden: maandag 2 maart 2026 09:15\nAan: Hulp\nOnderwerp: RE: Ticket 5",
        "Fra: Anna Berg <anna@example.com>\nSendt: mandag den 2. marts 2026 09:15\nTil: Hjælp\nEmne: SV: Ticket 5",
        "Från: Anna Berg <anna@example.com>\nSkickat: den 2 mars 2026 09:15\nTill: Hjälp\nÄmne: SV: Ticket 5",
        "Od: Anna Berg <anna@example.com>\nWysłano: poniedziałek, 2 marca 2026 09:15\nDo: Pomoc\nTemat: RE: Ticket 5",
        "От: Anna Berg <anna@example.com>\nОтправлено: 2 марта 2026 г. 9:15\nКому: Help\nТема: RE: Ticket 5",
        "*From:* Anna Berg <anna@example.com>\n*Sent:* Monday, March 2, 2026 9:15 AM\n*To:* Help\n*Subject:* RE: Ticket 5",
        "差出人: Anna Berg <anna@example.com>\n送信日時: 2026年3月2日 9:15\n宛先: Help\n件名: RE: Ticket 5",
    ] {
        let text = format!("It is broken again.\n\n{block}\n\nWe fixed it.\n\nGreat news!\n");
        assert_eq!(reply(&text), "It is broken again.", "{block}");
    }
}

#[test]
fn text_is_not_mistaken_for_a_header() {
    for text in [
        "On Monday I wrote a review of the product: it was great.\nOn Tuesday it broke.",
        "My problems are:\nFrom: the start it was slow.\nLater: it broke.",
        "Steps:\n1. open it\n2. close it\nResult: it crashes",
        "From: Berlin\nTo: Paris\nhow long does it take?",
        "Date: tomorrow is fine for me",
        "a > b is what I mean\n- one\n- two",
        "- Great\n- Bad\n- Ugly",
        "In 2025 you wrote to us that it works:\nit does not.",
        "Thanks!\nIt works now, and I am happy with how fast you answered us today and all the other days.",
    ] {
        assert_eq!(reply(text), text);
    }
}

#[test]
fn replies_between_and_below_quotes() {
    let text = "> Is it fixed?\n\nNo.\n\n> Do you like it?\n\nAlso no.\n";
    assert_eq!(reply(text), "No.\n\nAlso no.");
    let text = "On Mar 2, 2026, Anna wrote:\n> Is it fixed?\n\nNot at all.\n";
    assert_eq!(reply(text), "Not at all.");
}

#[test]
fn nothing_but_quotes_is_an_empty_reply() {
    let mail = Mail::split("---------- Forwarded message ---------\nFrom: Anna <a@example.com>\n\nGreat!");
    assert_eq!((mail.reply().as_ref(), mail.parts()[0].kind), ("", Kind::Forwarded));
    assert_eq!(reply("FYI\n\nBegin forwarded message:\n\nFrom: Anna\n\nGreat!"), "FYI");
    let forwarded = "FYI\n\n---------- Forwarded message ---------\nFrom: Anna\n\nGreat!";
    assert_eq!(Mail::split(forwarded).reply_and_forwarded(), forwarded);
    assert_eq!(reply("> all of it\n> is quoted"), "");
    assert_eq!(reply(""), "");
}

#[test]
fn signatures() {
    for (text, expected, signature) in [
        ("Broken.\n\n-- \nAnna Berg\nACME", "Broken.", "-- \nAnna Berg\nACME"),
        ("Broken.\n\nSent from my iPhone", "Broken.", "Sent from my iPhone"),
        ("Broken.\n\nVon meinem iPhone gesendet", "Broken.", "Von meinem iPhone gesendet"),
        ("Broken.\n\nAnna Berg\nvia mobile", "Broken.", "Anna Berg\nvia mobile"),
        ("Broken.\n\nGet Outlook for iOS", "Broken.", "Get Outlook for iOS"),
        ("Broken.\n\nBest regards,\nAnna Berg\nACME Inc", "Broken.", "Best regards,\nAnna Berg\nACME Inc"),
        ("Kaputt.\n\nMit freundlichen Grüßen\nAnna Berg", "Kaputt.", "Mit freundlichen Grüßen\nAnna Berg"),
        ("Broken.\n\n-Anna\n", "Broken.", "-Anna"),
        (
            "Broken.\n\nRegards,\nAnna\n\nSent from my iPhone\n",
            "Broken.",
            "Regards,\nAnna\n\nSent from my iPhone",
        ),
        (
            "Broken.\n_______________________________________________\nusers mailing list\nusers@example.com",
            "Broken.",
            "_______________________________________________\nusers mailing list\nusers@example.com",
        ),
    ] {
        let mail = Mail::split(text);
        assert_eq!((mail.reply().as_ref(), mail.signature()), (expected, Some(signature)), "{text}");
    }
    let text = "Hi,\n\nSent from my desk, it is easier than from my phone.";
    assert_eq!(reply(text), text);
    let both = "Broken.\n\n-- \nAnna\n\nOn Mar 2, 2026, Ben <b@example.com> wrote:\n> Fine?\n";
    assert_eq!(reply(both), "Broken.");
}

#[test]
fn what_is_too_long_is_not_read() {
    let text = format!("Broken.\n{}", "x ä ".repeat(400_000));
    let mail = Mail::split(&text);
    let last = mail.parts().last().unwrap();
    assert_eq!(last.kind, Kind::Rest);
    assert!(last.span.start <= Mail::MAX_LEN && last.span.end == text.len());
}

fn line() -> impl Strategy<Value = String> {
    let known: Vec<String> = [
        "",
        "",
        "> x",
        ">> On 1 Mar 2026, A wrote:",
        "On 1 Mar 2026, A <a@b.c>",
        "wrote:",
        "From: a@b.c",
        "Sent: 9:15",
        "To: x",
        "Subject: y",
        "-----Original Message-----",
        "--",
        "-- ",
        "_____",
        "Regards,",
        "Anna",
        "Sent from my iPhone",
        "-Anna",
        "It is broken.",
        "---- A wrote ----",
        "Am 1. März 2026 schrieb A:",
        "ж: 日本",
        "\u{a0}",
    ]
    .map(str::to_owned)
    .to_vec();
    prop_oneof![6 => prop::sample::select(known), 1 => "\\PC{0,20}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn parts_are_the_whole_text(lines in prop::collection::vec(line(), 0..30), end in prop::sample::select(vec!["\n", "\r\n"])) {
        let text = lines.join(end);
        let mail = Mail::split(&text);
        let mut at = 0;
        for part in mail.parts() {
            prop_assert_eq!(part.span.start, at);
            prop_assert!(text.get(part.span.clone()).is_some_and(|part| !part.is_empty()));
            at = part.span.end;
        }
        prop_assert_eq!(at, text.len());
    }
}

#[test]
fn an_angry_face_is_no_quote() {
    for text in [">:( it is broken again", ">:-( again", ">_< not again"] {
        assert_eq!(Mail::split(text).reply(), text);
    }
    // Within a quote it may be somebody else's.
    assert_eq!(Mail::split("Mine.\n\n> Theirs.\n>:( theirs too").reply(), "Mine.");
    assert_eq!(Mail::split("Mine.\n\n> :( theirs").reply(), "Mine.");
}
