//! The parts of timestamps and durations.

use super::{Entry, mismatch};
use crate::budget::Context;
use crate::error::EvalError;
use crate::time::Part;
use crate::value::Value;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

macro_rules! parts {
    ($($function:ident $name:literal $part:ident $([$also:literal])?;)*) => {
        pub(super) const FUNCTIONS: &[Entry] = &[
            $(($name, $function, &[
                concat!("timestamp.", $name, "() -> int"),
                concat!("timestamp.", $name, "(string) -> int"),
                $($also,)?
            ]),)*
        ];

        $(fn $function<'a>(_: &mut Context<'_>, arguments: &[Value<'a>]) -> Result<'a> {
            part(Part::$part, arguments)
        })*
    };
}

parts! {
    year "getFullYear" Year;
    month "getMonth" Month;
    date "getDate" Date;
    day_of_month "getDayOfMonth" DayOfMonth;
    day_of_week "getDayOfWeek" DayOfWeek;
    day_of_year "getDayOfYear" DayOfYear;
    hours "getHours" Hours ["duration.getHours() -> int"];
    minutes "getMinutes" Minutes ["duration.getMinutes() -> int"];
    seconds "getSeconds" Seconds ["duration.getSeconds() -> int"];
    milliseconds "getMilliseconds" Milliseconds ["duration.getMilliseconds() -> int"];
}

fn part<'a>(part: Part, arguments: &[Value<'a>]) -> Result<'a> {
    let found = match arguments {
        [Value::Timestamp(time)] => time.part(part, None)?,
        [Value::Timestamp(time), zone] => time.part(part, Some(zone.as_str().ok_or_else(mismatch)?))?,
        [Value::Duration(duration)] => duration.part(part).ok_or_else(mismatch)?,
        _ => return Err(mismatch()),
    };
    Ok(Value::Int(found))
}
