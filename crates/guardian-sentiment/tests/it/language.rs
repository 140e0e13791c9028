use guardian_sentiment::{
    Chart, English, Language, Lexicon, Observation, Reading, SentimentModel, Trend, TrendPolicy,
};

#[test]
fn languages_are_told_by_their_words() {
    for (text, code) in [
        ("Ich warte seit drei Wochen auf eine Antwort und bin sehr enttäuscht.", "deu"),
        ("Je suis très déçu, le produit ne fonctionne pas et vous ne répondez pas.", "fra"),
        ("No estoy contento con el servicio, la aplicación no funciona y nadie responde.", "spa"),
        ("Não estou satisfeito com o serviço, o aplicativo está muito lento e não funciona.", "por"),
        ("Non sono soddisfatto del servizio, la mia fattura è sbagliata e non risponde nessuno.", "ita"),
        ("Ik ben niet tevreden met de service, het is al weken kapot en er komt geen antwoord.", "nld"),
        ("Jag är inte nöjd med tjänsten, det fungerar inte och ingen svarar på min fråga.", "swe"),
        ("Nie jestem zadowolony z obsługi, aplikacja nie działa i nikt mi nie odpowiada.", "pol"),
        ("En ole tyytyväinen palveluun, se ei toimi ja kukaan ei vastaa kun minun pitää odottaa.", "fin"),
    ] {
        assert_eq!(Language::of(text), Language::Other(code), "{text}");
        assert_eq!(English(Lexicon::vader()).read(text), Reading::Unsupported(code.to_owned()));
    }
    for text in ["これはひどいサービスです。", "Сервис ужасный, никто не отвечает.", "الخدمة سيئة جدا"]
    {
        assert!(matches!(Language::of(text), Language::Other(_)), "{text}");
        assert_eq!(English(Lexicon::vader()).explain(text), None);
    }
}

#[test]
fn english_is_english() {
    for text in [
        "I have been waiting for three weeks and I am very disappointed.",
        "The invoice from München is wrong, and Señor Núñez did not answer.",
        "It's broken, please fix it",
        "why is the login so slow",
    ] {
        assert_eq!(Language::of(text), Language::English, "{text}");
    }
}

#[test]
fn what_is_short_is_not_guessed() {
    for text in ["ok", "", "👍", "lol", "Great!!!", "1234", "http://example.com"] {
        assert_eq!(Language::of(text), Language::Unknown, "{text}");
    }
    assert!(matches!(English(Lexicon::improved()).read("Great!!!"), Reading::Read(_)));
}

#[test]
fn charts_have_a_place_for_every_day() {
    let mut trend = Trend::new();
    let start = guardian_core::ManualClock::new();
    for (day, score) in [(0, 0.9), (1, -1.0), (4, 0.0)] {
        let at = guardian_core::Clock::now(&start) + chrono::TimeDelta::days(day);
        trend.push(&Observation::new(at, score), &TrendPolicy::default());
    }
    let chart = Chart::of(trend.days());
    assert_eq!(chart.sparkline(80), "█▁  ▅");
    assert_eq!(chart.sparkline(2), " ▅");
    assert_eq!(Chart::of(&[]).sparkline(80), "");
    let svg = chart.svg(100, 40);
    assert_eq!(svg.matches("<polyline").count(), 1, "{svg}");
    assert!(svg.contains("points=\"4.0,5.6 27.0,36.0 96.0,20.0\""), "{svg}");
    assert!(Chart::of(&[]).svg(0, 0).ends_with("</svg>"));
}
