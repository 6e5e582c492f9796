package journal

import "hash/fnv"

// owner returns which of members has the robot: the one whose hash together with the robot's name is the
// highest (rendezvous hashing), "" if there are none. Whoever joins takes its share of robots, and whoever
// leaves gives its own away; no other robot moves. What the roster's safety rests on: two members of which
// each counts the other in never both have the same robot, whatever else they believe.
func owner(robot string, members []string) (best string) {
	var high uint64
	for _, m := range members {
		if w := weight(robot, m); best == "" || w > high || w == high && m > best {
			best, high = m, w
		}
	}
	return best
}

func weight(robot, member string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(robot))
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(member))
	// FNV alone hardly moves the high bits with the last bytes; this is the finish of splitmix64.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
