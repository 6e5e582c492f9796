package delivery

import "time"

// Quiet is when a group is not to be disturbed.
type Quiet struct {
	// Zone is where Hours are.
	Zone *time.Location
	// Hours are the stretches, at least one; they may overlap.
	Hours []QuietHours
	// Mentions and Urgent say that what calls somebody, and what was marked urgent, is sent all the same.
	Mentions, Urgent bool
}

// QuietHours is a stretch of time that comes again.
type QuietHours struct {
	// From and To are times of the day, in minutes from its beginning: 0 to 1439, and 0 to 1440. Where To is
	// not after From it is of the next day.
	From, To int
	// Days are the days on which it begins, by time.Weekday.
	Days [7]bool
}
