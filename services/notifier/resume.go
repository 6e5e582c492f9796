package notifier

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"google.golang.org/grpc/codes"

	notifierv1 "gitee.com/belfry/belfry/gen/belfry/notifier/v1"
	"gitee.com/belfry/belfry/pkg/fault"
	"gitee.com/belfry/belfry/services/notifier/journal"
)

// startOfWatch returns where the stream begins, or the error for the caller.
func (s *Service) startOfWatch(ctx context.Context, req *notifierv1.WatchDeliveriesRequest, robot string) (journal.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if robot != "" {
		if err := s.known(ctx, robot); err != nil {
			return journal.Position{}, err
		}
	}
	head, err := s.journal.Head(ctx)
	if err != nil {
		return head, s.unreadable(err)
	}
	if req.GetResumeToken() == "" {
		return head, nil
	}
	at, err := parseResumeToken(req.GetResumeToken(), req.GetParent())
	if err != nil {
		return at, err
	}
	if at.Log > head.Log || at.Outcomes > head.Outcomes {
		return at, resumeExpired()
	}
	return at, nil
}

func resumeExpired() error {
	return fault.New(codes.OutOfRange, notifierv1.ErrorReason_ERROR_REASON_RESUME_TOKEN_EXPIRED,
		"the journal no longer holds all that came after this place: list the deliveries, and watch without resume_token")
}

// resumeToken is what a resume_token holds, as base64 of JSON.
type resumeToken struct {
	Version  int    `json:"v"`
	Parent   string `json:"p"`
	Log      uint64 `json:"l"`
	Outcomes uint64 `json:"o"`
}

const resumeVersion = 1

func formatResumeToken(at journal.Position, parent string) string {
	data, err := json.Marshal(resumeToken{Version: resumeVersion, Parent: parent, Log: at.Log, Outcomes: at.Outcomes})
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func parseResumeToken(token, parent string) (journal.Position, error) {
	var t resumeToken
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	if err != nil || t.Version != resumeVersion || t.Parent != parent {
		return journal.Position{}, fault.Invalid("resume_token", "it is not a token of an earlier stream of the same parent")
	}
	return journal.Position{Log: t.Log, Outcomes: t.Outcomes}, nil
}
