"""The boundaries of monthly periods over 400 years, by another calendar than the crate's: Python's `datetime`,
`calendar` and `zoneinfo`. Writes one line for each zone: its name and the SHA-256 of all boundaries in seconds since 1970,
as decimal text with a line feed behind each, for the anchor days 1 to 31 in turn.

    python3 oracle.py > boundaries.txt

The anchor is midnight of the day in January 2000 on the zone's clocks. Beyond what the zone files list, `zoneinfo` goes by
their last rule.
"""

import calendar
import hashlib
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

ZONES = [
    "UTC", "Europe/Vienna", "America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Asia/Kolkata",
    "Australia/Sydney", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Auckland",
]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

for name in ZONES:
    zone = ZoneInfo(name)
    digest = hashlib.sha256()
    for day in range(1, 32):
        for month in range(400 * 12):
            year, index = 2000 + month // 12, month % 12 + 1
            last = calendar.monthrange(year, index)[1]
            local = datetime(year, index, min(day, last), tzinfo=zone)
            seconds = (local.astimezone(timezone.utc) - EPOCH) // timedelta(seconds=1)
            digest.update(b"%d\n" % seconds)
    print(name, digest.hexdigest())
