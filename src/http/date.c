/* HTTP dates: read in the three forms of RFC 9110 section 5.6.7, written in one. The proleptic
 * Gregorian calendar by arithmetic, without the C library's time zones and their lock. */
#include "http/chars.h"
#include "http/field.h"

enum { DAY_S = 86400, DAYS_400_YEARS = 146097 };

static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const long_day_names[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                              "Thursday", "Friday", "Saturday"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct date {
    int year, month, day; /* month from 0, day from 1 */
    int hour, minute, second;
};

static bool
is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
month_days(int year, int month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month] + (month == 1 && is_leap(year) ? 1 : 0);
}

/* Days from 1970-01-01 to the first of January of a year from 0 on. */
static int64_t
days_to_year(int year)
{
    int64_t before = (int64_t)year + 399; /* whole years since -400, so that all is positive */

    return before * 365 + before / 4 - before / 100 + before / 400 - 719162 - DAYS_400_YEARS;
}

static int64_t
date_to_s(const struct date *date)
{
    int64_t days = days_to_year(date->year) + date->day - 1;

    for (int month = 0; month < date->month; month++)
        days += month_days(date->year, month);
    return ((days * 24 + date->hour) * 60 + date->minute) * 60 + date->second;
}

static int
year_of(int64_t at_s)
{
    int64_t days = at_s / DAY_S;
    int year = 1970 + (int)(days / 366); /* never too late */

    while (days_to_year(year + 1) <= days)
        year++;
    return year;
}

/* --- reading --- */

/* A cursor that takes fixed pieces off the text; once something is missing it stays bad. */
struct reader {
    struct slice text;
    bool bad;
};

static void
expect(struct reader *reader, const char *piece)
{
    struct slice want = slice_from_str(piece);

    if (slice_starts(reader->text, want))
        reader->text = slice_skip(reader->text, want.len);
    else
        reader->bad = true;
}

static int
digits(struct reader *reader, size_t n)
{
    int value = 0;

    if (reader->text.len < n || chars_span(slice_first(reader->text, n), CH_DIGIT) != n) {
        reader->bad = true;
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (reader->text.ptr[i] - '0');
    reader->text = slice_skip(reader->text, n);
    return value;
}

static int
name_of(struct reader *reader, const char (*names)[4], int names_n)
{
    for (int i = 0; i < names_n; i++) {
        if (slice_starts(reader->text, slice_of(names[i], 3))) {
            reader->text = slice_skip(reader->text, 3);
            return i;
        }
    }
    reader->bad = true;
    return 0;
}

static void
read_time(struct reader *reader, struct date *date)
{
    date->hour = digits(reader, 2);
    expect(reader, ":");
    date->minute = digits(reader, 2);
    expect(reader, ":");
    date->second = digits(reader, 2);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static void
read_imf_fixdate(struct reader *reader, struct date *date)
{
    (void)name_of(reader, day_names, 7);
    expect(reader, ", ");
    date->day = digits(reader, 2);
    expect(reader, " ");
    date->month = name_of(reader, month_names, 12);
    expect(reader, " ");
    date->year = digits(reader, 4);
    expect(reader, " ");
    read_time(reader, date);
    expect(reader, " GMT");
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; the year is left as two digits. */
static void
read_rfc850(struct reader *reader, struct date *date)
{
    struct slice name;

    reader->bad = true;
    if (!slice_cut(&reader->text, ',', &name))
        return;
    for (size_t i = 0; i < ARRAY_LEN(long_day_names); i++)
        if (slice_is(name, long_day_names[i]))
            reader->bad = false;
    expect(reader, " ");
    date->day = digits(reader, 2);
    expect(reader, "-");
    date->month = name_of(reader, month_names, 12);
    expect(reader, "-");
    date->year = digits(reader, 2);
    expect(reader, " ");
    read_time(reader, date);
    expect(reader, " GMT");
}

/* "Sun Nov  6 08:49:37 1994" */
static void
read_asctime(struct reader *reader, struct date *date)
{
    (void)name_of(reader, day_names, 7);
    expect(reader, " ");
    date->month = name_of(reader, month_names, 12);
    expect(reader, " ");
    if (slice_starts(reader->text, SLICE(" "))) {
        expect(reader, " ");
        date->day = digits(reader, 1);
    } else {
        date->day = digits(reader, 2);
    }
    expect(reader, " ");
    read_time(reader, date);
    expect(reader, " ");
    date->year = digits(reader, 4);
}

static bool
date_is_valid(const struct date *date)
{
    return date->day >= 1 && date->day <= month_days(date->year, date->month) && date->hour < 24 &&
           date->minute < 60 && date->second <= 60; /* a leap second */
}

/* The latest year with those two digits that is not more than 50 years ahead. */
static void
complete_year(struct date *date, int64_t now_s)
{
    int now_year = year_of(now_s < 0 ? 0 : now_s);
    int two_digits = date->year;

    date->year = now_year - now_year % 100 + 100 + two_digits;
    while (date->year > now_year + 50)
        date->year -= 100;
    if (date->year == now_year + 50 && date_to_s(date) - now_s > INT64_C(50) * 31556952)
        date->year -= 100;
}

bool
http_date_parse(struct slice text, int64_t now_s, int64_t *out_s)
{
    struct reader reader = {text, false};
    struct date date = {0};
    bool short_year = false;

    if (text.len > 3 && text.ptr[3] == ',') {
        read_imf_fixdate(&reader, &date);
    } else if (text.len > 3 && text.ptr[3] == ' ') {
        read_asctime(&reader, &date);
    } else {
        read_rfc850(&reader, &date);
        short_year = true;
    }
    if (reader.bad || reader.text.len != 0)
        return false;
    if (short_year)
        complete_year(&date, now_s);
    if (!date_is_valid(&date))
        return false;
    *out_s = date_to_s(&date);
    return true;
}

/* --- writing --- */

static char *
put_name(char *at, const char name[4])
{
    memcpy(at, name, 3);
    return at + 3;
}

static char *
put_two(char *at, int n, char then)
{
    at[0] = (char)('0' + n / 10);
    at[1] = (char)('0' + n % 10);
    at[2] = then;
    return at + 3;
}

void
http_date_format(int64_t at_s, char out[HTTP_DATE_LEN + 1])
{
    const int64_t last_s = INT64_C(253402300799); /* the end of the year 9999 */
    int64_t days, second;
    int year, month = 0, day;
    char *at = out;

    at_s = at_s < 0 ? 0 : at_s > last_s ? last_s : at_s;
    days = at_s / DAY_S;
    second = at_s % DAY_S;
    year = year_of(at_s);
    day = (int)(days - days_to_year(year));
    for (; day >= month_days(year, month); month++)
        day -= month_days(year, month);
    at = put_name(at, day_names[(days + 4) % 7]); /* 1970-01-01 was a Thursday */
    *at++ = ',';
    *at++ = ' ';
    at = put_two(at, day + 1, ' ');
    at = put_name(at, month_names[month]);
    *at++ = ' ';
    at = put_two(at, year / 100, ' ') - 1;
    at = put_two(at, year % 100, ' ');
    at = put_two(at, (int)(second / 3600), ':');
    at = put_two(at, (int)(second / 60 % 60), ':');
    at = put_two(at, (int)(second % 60), ' ');
    at = put_name(at, "GMT");
    *at = '\0';
}
