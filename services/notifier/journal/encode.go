package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/natsstore"
	"gitee.com/belfry/belfry/services/notifier/delivery"
)

// headerRoom is what a message's headers and subject take at most, in bytes.
const headerRoom = 2 << 10

// encode makes the message that carries n. It has a message id, and thus can be a duplicate, when n has a
// request id.
func encode(n delivery.Notification, maxPayload int) (*nats.Msg, error) {
	if err := checkRobot(n.Robot); err != nil {
		return nil, err
	}
	p := &notifierv1.Notification{
		RequestId: n.RequestID, Urgent: n.Urgent, RedeliveryOf: n.RedeliveryOf, Refusal: encodeFailure(n.Refusal),
	}
	if !n.CreateTime.IsZero() {
		p.CreateTime = timestamppb.New(n.CreateTime)
	}
	switch {
	case n.Event != nil && n.Message == nil:
		p.Content = &notifierv1.Notification_Event{Event: n.Event}
	case n.Message != nil && n.Event == nil:
		p.Content = &notifierv1.Notification_Message{Message: n.Message}
	default:
		return nil, fmt.Errorf("a notification for %s must have either an event or a message", n.Robot)
	}
	data, err := proto.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("notification for %s: %w", n.Robot, err)
	}
	if limit := maxPayload - headerRoom; len(data) > limit {
		return nil, fmt.Errorf("the notification for %s %w: it has %d bytes, and the store takes %d", n.Robot, ErrTooLarge, len(data), limit)
	}
	m := nats.NewMsg(logPrefix + n.Robot)
	m.Data = data
	if n.RequestID != "" {
		m.Header.Set(nats.MsgIdHdr, messageID(n.Robot, n.RequestID))
	}
	return m, nil
}

// messageID hashes the request id, which may hold anything, with the robot into what a header can carry. The
// server keeps each in memory for the dedup window, so it is short: half of a SHA-256 is enough against
// those who would look for two requests with the same.
func messageID(robot, requestID string) string {
	sum := sha256.Sum256([]byte(robot + "\x00" + requestID))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func decode(m natsstore.Message) (delivery.Notification, error) {
	var p notifierv1.Notification
	if err := proto.Unmarshal(m.Data, &p); err != nil {
		return delivery.Notification{}, fmt.Errorf("journal: notification %d can't be read, its bytes are damaged: %w", m.Seq, err)
	}
	n := delivery.Notification{
		Seq: m.Seq, Robot: strings.TrimPrefix(m.Subject, logPrefix), RequestID: p.GetRequestId(),
		Event: p.GetEvent(), Message: p.GetMessage(),
		Urgent: p.GetUrgent(), RedeliveryOf: p.GetRedeliveryOf(), Refusal: decodeFailure(p.GetRefusal()),
	}
	if p.CreateTime != nil {
		n.CreateTime = p.CreateTime.AsTime()
	}
	return n, nil
}

// encodeFailure leaves out Last: what was refused before it was tried has none.
func encodeFailure(f *delivery.Failure) *notifierv1.Failure {
	if f == nil {
		return nil
	}
	return &notifierv1.Failure{
		Reason: f.Reason.String(), Message: f.Message, Errcode: int32(f.Errcode), Verdict: string(f.Verdict),
	}
}

func decodeFailure(p *notifierv1.Failure) *delivery.Failure {
	if p == nil {
		return nil
	}
	return &delivery.Failure{
		Reason: notifierv1.ErrorReason(notifierv1.ErrorReason_value[p.GetReason()]), Message: p.GetMessage(),
		Errcode: int(p.GetErrcode()), Verdict: delivery.Verdict(p.GetVerdict()),
	}
}

// marshal writes JSON without HTML's escapes, which would blow up a message's body beyond DingTalk's limit.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func outcomeSubject(robot string, seq uint64) string {
	return outcomePrefix + robot + "." + strconv.FormatUint(seq, 10)
}

// checkRobot keeps out what would change a subject's meaning.
func checkRobot(robot string) error {
	for _, c := range robot {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("robot name %q: use lower-case letters, digits and \"-\"", robot)
		}
	}
	if robot == "" || len(robot) > 128 {
		return fmt.Errorf("robot name %q: use 1 to 128 characters", robot)
	}
	return nil
}
