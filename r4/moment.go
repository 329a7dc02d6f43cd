package r4

import (
	"strings"
	"time"
)

// Precision is how exactly a date or time is known.
type Precision uint8

// The precisions, from none, for a text that is no date, to fractions of a second.
const (
	PrecisionNone Precision = iota
	PrecisionYear
	PrecisionMonth
	PrecisionDay
	PrecisionMinute // R4 does not allow a time without seconds, but it is sent
	PrecisionSecond
	PrecisionFraction
)

// String returns "year", "month" and so on.
func (p Precision) String() string {
	return [...]string{"none", "year", "month", "day", "minute", "second", "fraction"}[min(p, PrecisionFraction)]
}

// DateOf is the date of t in t's own time zone.
func DateOf(t time.Time) Date { return Date(t.Format("2006-01-02")) }

// DateTimeOf is t to the second, or finer if t has a fraction, in t's own time zone.
func DateTimeOf(t time.Time) DateTime { return DateTime(t.Format(time.RFC3339Nano)) }

// InstantOf is t to the second, or finer if t has a fraction, in t's own time zone.
func InstantOf(t time.Time) Instant { return Instant(t.Format(time.RFC3339Nano)) }

// Precision says how exactly the date is known.
func (d Date) Precision() Precision { return parseMoment(string(d)).precision }

// Precision says how exactly the time is known.
func (d DateTime) Precision() Precision { return parseMoment(string(d)).precision }

// Precision says how exactly the time is known.
func (i Instant) Precision() Precision { return parseMoment(string(i)).precision }

// Range returns the time that the date covers, from its first instant to just before to: "1970-06" is from the 1st of June
// to the 1st of July. A date has no time zone; loc is the one to think of, nil for UTC. The error is a *[ValueError].
func (d Date) Range(loc *time.Location) (from, to time.Time, err error) {
	m := parseMoment(string(d))
	if m.precision > PrecisionDay {
		m.precision = PrecisionNone
	}
	return m.span(loc, "date")
}

// Range returns the time that the text covers, from its first instant to just before to: "1970" is that
// whole year, "2024-05-01T08:00:00Z" one second. loc is the time zone where the text has none, nil for
// UTC. The error is a *[ValueError].
func (d DateTime) Range(loc *time.Location) (from, to time.Time, err error) {
	return parseMoment(string(d)).span(loc, "dateTime")
}

// Time returns the first instant of the date in loc, nil for UTC.
func (d Date) Time(loc *time.Location) (time.Time, error) {
	from, _, err := d.Range(loc)
	return from, err
}

// Time returns the first instant that the text covers, in the text's own time zone; loc where it has none, nil for UTC.
func (d DateTime) Time(loc *time.Location) (time.Time, error) {
	from, _, err := d.Range(loc)
	return from, err
}

// Time returns the instant, in the text's own time zone. The error is a *[ValueError], also where the zone is missing.
func (i Instant) Time() (time.Time, error) {
	m := parseMoment(string(i))
	if m.precision < PrecisionMinute || m.zone == nil {
		return time.Time{}, &ValueError{Type: "instant"}
	}
	from, _, err := m.span(nil, "instant")
	return from, err
}

// Duration returns the time since midnight. The error is a *[ValueError].
func (t Time) Duration() (time.Duration, error) {
	m := moment{year: 1, month: 1, day: 1}
	if !m.clock(string(t)) || m.zone != nil {
		return 0, &ValueError{Type: "time"}
	}
	return time.Duration(m.hour)*time.Hour + time.Duration(m.minute)*time.Minute +
		time.Duration(m.second)*time.Second + time.Duration(m.nano), nil
}

// moment is a date or time as it is written.
type moment struct {
	precision        Precision
	year, month, day int
	hour, minute     int
	second, nano     int
	digits           int            // of the fraction
	zone             *time.Location // nil if it has none
}

// parseMoment reads YYYY, YYYY-MM, YYYY-MM-DD or a date with a time. What it cannot read has no precision.
func parseMoment(s string) moment {
	m := moment{month: 1, day: 1}
	var ok bool
	if m.year, s, ok = digits(s, 4); !ok {
		return moment{}
	}
	m.precision = PrecisionYear
	if s == "" {
		return m
	}
	if m.month, s, ok = after(s, '-'); !ok || m.month < 1 || m.month > 12 {
		return moment{}
	}
	m.precision = PrecisionMonth
	if s == "" {
		return m
	}
	if m.day, s, ok = after(s, '-'); !ok || m.day < 1 || m.day > daysIn(m.year, m.month) {
		return moment{}
	}
	m.precision = PrecisionDay
	if s == "" {
		return m
	}
	if s[0] != 'T' || !m.clock(s[1:]) {
		return moment{}
	}
	return m
}

// clock reads hh:mm, hh:mm:ss or hh:mm:ss.fff, each with or without a time zone.
func (m *moment) clock(s string) (ok bool) {
	if m.hour, s, ok = digits(s, 2); !ok || m.hour > 23 {
		return false
	}
	if m.minute, s, ok = after(s, ':'); !ok || m.minute > 59 {
		return false
	}
	m.precision = PrecisionMinute
	if strings.HasPrefix(s, ":") {
		if m.second, s, ok = after(s, ':'); !ok || m.second > 60 { // 60 is a leap second
			return false
		}
		m.precision = PrecisionSecond
	}
	if strings.HasPrefix(s, ".") && m.precision == PrecisionSecond {
		rest := strings.TrimLeft(s[1:], "0123456789")
		fraction := s[1 : len(s)-len(rest)]
		if fraction == "" {
			return false
		}
		m.digits = min(len(fraction), 9)
		m.nano, _, _ = digits((fraction + "000000000")[:9], 9)
		m.precision, s = PrecisionFraction, rest
	}
	return m.readZone(s)
}

func (m *moment) readZone(s string) bool {
	switch {
	case s == "":
		return true
	case s == "Z":
		m.zone = time.UTC
		return true
	case s[0] != '+' && s[0] != '-':
		return false
	}
	hours, rest, ok := digits(s[1:], 2)
	minutes, rest, ok2 := after(rest, ':')
	if !ok || !ok2 || rest != "" || hours > 14 || minutes > 59 {
		return false
	}
	offset := hours*3600 + minutes*60
	if s[0] == '-' {
		offset = -offset
	}
	m.zone = time.FixedZone("", offset)
	return true
}

func (m moment) span(loc *time.Location, typ string) (from, to time.Time, err error) {
	if m.precision == PrecisionNone {
		return from, to, &ValueError{Type: typ}
	}
	if m.zone != nil {
		loc = m.zone
	} else if loc == nil {
		loc = time.UTC
	}
	from = time.Date(m.year, time.Month(m.month), m.day, m.hour, m.minute, m.second, m.nano, loc)
	switch m.precision {
	case PrecisionYear:
		to = time.Date(m.year+1, 1, 1, 0, 0, 0, 0, loc)
	case PrecisionMonth:
		to = time.Date(m.year, time.Month(m.month)+1, 1, 0, 0, 0, 0, loc)
	case PrecisionDay:
		to = time.Date(m.year, time.Month(m.month), m.day+1, 0, 0, 0, 0, loc)
	case PrecisionMinute:
		to = from.Add(time.Minute)
	case PrecisionSecond:
		to = from.Add(time.Second)
	default:
		step := time.Second
		for range m.digits {
			step /= 10
		}
		to = from.Add(step)
	}
	return from, to, nil
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// digits reads a number of exactly n digits.
func digits(s string, n int) (v int, rest string, ok bool) {
	if len(s) < n {
		return 0, s, false
	}
	for i := range n {
		if s[i] < '0' || s[i] > '9' {
			return 0, s, false
		}
		v = v*10 + int(s[i]-'0')
	}
	return v, s[n:], true
}

// after reads a separator and a number of two digits.
func after(s string, sep byte) (v int, rest string, ok bool) {
	if s == "" || s[0] != sep {
		return 0, s, false
	}
	return digits(s[1:], 2)
}
