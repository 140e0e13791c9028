//! What the command line says.

pub(crate) const HELP: &str = "\
usage: geo_gate [LOG [RULES]] [--country FILE] [--asn FILE] [--anonymous FILE]
       geo_gate --explain ADDRESS [RULES] [--country FILE] ...

  LOG          an access log in the common or combined format, gzipped or not; made up if not given
  RULES        rules as text, a line each, or as JSON; made up if not given
  --country    a MaxMind DB file of countries or cities
  --asn        one of autonomous systems
  --anonymous  one of anonymisers
  --explain    says for one address which rules have a say";

#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) log: Option<String>,
    pub(crate) rules: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) asn: Option<String>,
    pub(crate) anonymous: Option<String>,
    pub(crate) explain: Option<String>,
}

impl Arguments {
    /// `None` when help is wanted.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut arguments = Self::default();
        let mut plain = Vec::new();
        while let Some(word) = words.next() {
            let place = match word.as_str() {
                "-h" | "--help" => return Ok(None),
                "--country" => &mut arguments.country,
                "--asn" => &mut arguments.asn,
                "--anonymous" => &mut arguments.anonymous,
                "--explain" => &mut arguments.explain,
                option if option.starts_with('-') => return Err(format!("unknown option `{option}`")),
                _ => {
                    plain.push(word);
                    continue;
                }
            };
            *place = Some(words.next().ok_or_else(|| format!("nothing follows `{word}`"))?);
        }
        let mut plain = plain.into_iter();
        if arguments.explain.is_none() {
            arguments.log = plain.next();
        }
        arguments.rules = plain.next();
        match plain.next() {
            Some(word) => Err(format!("`{word}` is one word too many")),
            None => Ok(Some(arguments)),
        }
    }
}
