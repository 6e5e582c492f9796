package gitee_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"gitee.com/belfry/belfry/pkg/gitee"
	"gitee.com/belfry/belfry/pkg/gitee/giteetest"
)

func ExampleParse() {
	secret := gitee.Signature("the key that the hook has in Gitee")
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, gitee.MaxBody))
		if err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		event, err := gitee.Parse(secret, "payments", r.Header, body, time.Now())
		_, ignored := errors.AsType[*gitee.IgnoredError](err)
		switch {
		case errors.Is(err, gitee.ErrNotAuthentic):
			http.Error(w, err.Error(), http.StatusUnauthorized)
		case ignored:
			fmt.Fprintln(w, err)
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		default:
			fmt.Fprintf(w, "%s pushed %d commits to %s of %s", event.GetSender().GetName(),
				event.GetPush().GetTotalCommits(), event.GetPush().GetBranch(), event.GetRepository().GetPath())
		}
	}

	// What Gitee would send.
	delivery := giteetest.Push(time.Now(), "belltower/payments", "main", 3, "example")
	request, err := giteetest.NewRequest(context.Background(), "/hooks/payments", secret, delivery, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	answer := httptest.NewRecorder()
	handler(answer, request)
	fmt.Println(answer.Code, answer.Body)
	// Output: 200 Анна Петрова pushed 3 commits to main of belltower/payments
}
