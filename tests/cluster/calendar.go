package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// calendar reads lines ZONE<tab>SCHEDULE<tab>FROM<tab>UNTIL (Unix seconds) from stdin and prints for each the times at which the CronJob controller
// starts a Job, by the library and in the way it is called there: the first time, and then the differences, each with its number
// (82800*1 86400*237 …). A zone that Go does not know gives an empty line.
func calendar() int {
	in := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		fields := strings.Split(in.Text(), "\t")
		if len(fields) != 4 {
			fmt.Fprintln(os.Stderr, "four fields are needed:", in.Text())
			return 2
		}
		from, fromErr := strconv.ParseInt(fields[2], 10, 64)
		until, untilErr := strconv.ParseInt(fields[3], 10, 64)
		if fromErr != nil || untilErr != nil {
			fmt.Fprintln(os.Stderr, "times are Unix seconds:", in.Text())
			return 2
		}
		if _, err := time.LoadLocation(fields[0]); err != nil {
			fmt.Fprintln(out)
			continue
		}
		schedule, err := cron.ParseStandard(fmt.Sprintf("TZ=%s %s", fields[0], fields[1]))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Fprintln(out, starts(schedule, from, until))
	}
	return 0
}

func starts(schedule cron.Schedule, from, until int64) string {
	var text strings.Builder
	var last, step, count int64
	flush := func() {
		if count > 0 {
			fmt.Fprintf(&text, " %d*%d", step, count)
		}
	}
	for next := schedule.Next(time.Unix(from, 0)); !next.IsZero() && next.Unix() < until; next = schedule.Next(next) {
		at := next.Unix()
		if last != 0 && at <= last {
			// The library does so where the clock is put back in the middle of an hour: asked again and again, it never comes past that day.
			return text.String() + " backwards"
		}
		if last == 0 {
			fmt.Fprint(&text, at)
		} else if at-last == step {
			count++
		} else {
			flush()
			step, count = at-last, 1
		}
		last = at
	}
	flush()
	return text.String()
}
