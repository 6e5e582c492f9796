package dingtalktest

import (
	"fmt"
	"net/netip"
	"slices"
)

// RobotConfig is a robot of the simulator.
type RobotConfig struct {
	// Token is its access_token, not empty; two robots can't share one.
	Token string
	// Secret turns the signature check on; empty is off.
	Secret string
	// Keywords, at most 10: each message must hold one. None turns the check off.
	Keywords []string
	// AllowedIPs are IPv4 addresses and ranges ("10.0.0.0/8") that may call it; DingTalk knows no IPv6
	// here. None turns the check off.
	AllowedIPs []string
	// Group is the name of its group, for people; robots may share a group.
	Group string
	// Members are those who can be mentioned; nil means that everybody can.
	Members []Member
	// External marks a group with people of several organisations, in which user ids mention nobody.
	External bool
	// Wording is the generation of error texts that it answers with.
	Wording Wording
	// State is how the robot fares.
	State State

	allowed []netip.Prefix
}

// Member is a person of a group.
type Member struct {
	Mobile, UserID string
}

// State is how a robot fares.
type State int

// The states. A robot in any but the first refuses everything, with the code of its state.
const (
	StateActive         State = iota
	StateDisabled             // 400102
	StateRemoved              // 400106: the robot is no longer in the group
	StateGroupDissolved       // 400013
	StateQuotaExhausted       // 90030: the month's calls are used up
)

// String names the state in lower-case words.
func (s State) String() string {
	if s < StateActive || s > StateQuotaExhausted {
		return fmt.Sprintf("State(%d)", int(s))
	}
	return [...]string{"active", "disabled", "removed", "group dissolved", "quota exhausted"}[s]
}

// AddRobot adds a robot, or replaces the one with its token. It copies c. It panics where c breaks a rule
// of RobotConfig.
func (s *Server) AddRobot(c RobotConfig) {
	if c.Token == "" {
		panic("dingtalktest: a robot needs a token")
	}
	if len(c.Keywords) > 10 {
		panic(fmt.Sprintf("dingtalktest: a robot has at most 10 keywords, not %d", len(c.Keywords)))
	}
	for _, text := range c.AllowedIPs {
		prefix, err := parseAllowed(text)
		if err != nil {
			panic(fmt.Sprintf("dingtalktest: %q is neither an IPv4 address nor an IPv4 range", text))
		}
		c.allowed = append(c.allowed, prefix)
	}
	c.Keywords = slices.Clone(c.Keywords)
	c.Members = slices.Clone(c.Members)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.robots[c.Token] = &c
}

// SetRobotState changes the state of the robot with token. It panics if there is none.
func (s *Server) SetRobotState(token string, state State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	robot := s.robots[token]
	if robot == nil {
		panic("dingtalktest: no robot has that token")
	}
	robot.State = state
}

func parseAllowed(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		var addr netip.Addr
		if addr, err = netip.ParseAddr(text); err != nil {
			return netip.Prefix{}, err
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if !prefix.Addr().Is4() {
		return netip.Prefix{}, fmt.Errorf("not IPv4")
	}
	return prefix, nil
}

// allows says whether address, as text, may call the robot.
func (c *RobotConfig) allows(address string) bool {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(c.allowed, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
}

// has says whether somebody of the group has the mobile number or user id.
func (c *RobotConfig) has(target string, userID bool) bool {
	if c.Members == nil {
		return true
	}
	return slices.ContainsFunc(c.Members, func(m Member) bool {
		if userID {
			return m.UserID == target
		}
		return m.Mobile == target
	})
}
