package gitee

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// wire is the body of every kind of delivery: the fields that Parse reads, with the types that Gitee
// uses. What is not named here, the secrets among it, is skipped.
type wire struct {
	HookName  text `json:"hook_name"`
	HookURL   text `json:"hook_url"`
	Timestamp text `json:"timestamp"`

	Action     text                  `json:"action"`
	ActionDesc text                  `json:"action_desc"`
	Sender     maybe[wireUser]       `json:"sender"`
	Enterprise maybe[wireEnterprise] `json:"enterprise"`
	Repository maybe[wireRepository] `json:"repository"`
	Project    maybe[wireRepository] `json:"project"`

	// Push and tag push.
	Ref                text                    `json:"ref"`
	Before             text                    `json:"before"`
	After              text                    `json:"after"`
	Created            flag                    `json:"created"`
	Deleted            flag                    `json:"deleted"`
	Compare            text                    `json:"compare"`
	Commits            list[maybe[wireCommit]] `json:"commits"`
	HeadCommit         maybe[wireCommit]       `json:"head_commit"`
	TotalCommitsCount  number                  `json:"total_commits_count"`
	CommitsMoreThanTen flag                    `json:"commits_more_than_ten"`
	Pusher             maybe[wireUser]         `json:"pusher"`
	UserName           text                    `json:"user_name"` // a display name

	// Issue, pull request and comment.
	Issue        maybe[wireIssue] `json:"issue"`
	PullRequest  maybe[wirePull]  `json:"pull_request"`
	IID          text             `json:"iid"`
	Number       text             `json:"number"`
	Title        text             `json:"title"`
	Description  text             `json:"description"`
	Body         text             `json:"body"`
	URL          text             `json:"url"`
	State        text             `json:"state"`
	MergeStatus  text             `json:"merge_status"`
	Milestone    titled           `json:"milestone"`
	User         maybe[wireUser]  `json:"user"`
	Author       maybe[wireUser]  `json:"author"`
	Assignee     maybe[wireUser]  `json:"assignee"`
	UpdatedBy    maybe[wireUser]  `json:"updated_by"`
	SourceBranch text             `json:"source_branch"`
	TargetBranch text             `json:"target_branch"`
	SourceRepo   maybe[wirePair]  `json:"source_repo"`
	TargetRepo   maybe[wirePair]  `json:"target_repo"`

	Comment       maybe[wireComment] `json:"comment"`
	Note          text               `json:"note"`
	NoteableType  text               `json:"noteable_type"`
	NoteableID    number             `json:"noteable_id"`
	PerIID        text               `json:"per_iid"`
	ShortCommitID text               `json:"short_commit_id"`
}

type wireUser struct {
	Login    text `json:"login"`
	Username text `json:"username"`
	UserName text `json:"user_name"`
	Name     text `json:"name"`
	Remark   text `json:"remark"`
	HTMLURL  text `json:"html_url"`
	URL      text `json:"url"`
}

type wireEnterprise struct {
	Name text `json:"name"`
	URL  text `json:"url"`
}

type wireRepository struct {
	ID                number `json:"id"`
	Name              text   `json:"name"`
	Path              text   `json:"path"`
	FullName          text   `json:"full_name"`
	Namespace         text   `json:"namespace"`
	PathWithNamespace text   `json:"path_with_namespace"`
	HTMLURL           text   `json:"html_url"`
	URL               text   `json:"url"`
	Private           flag   `json:"private"`
	DefaultBranch     text   `json:"default_branch"`
	PushedAt          text   `json:"pushed_at"`
}

// wirePair is a repository, written twice.
type wirePair struct {
	Repository maybe[wireRepository] `json:"repository"`
	Project    maybe[wireRepository] `json:"project"`
}

type wireCommit struct {
	ID        text            `json:"id"`
	ParentIDs list[text]      `json:"parent_ids"`
	Message   text            `json:"message"`
	Timestamp text            `json:"timestamp"`
	URL       text            `json:"url"`
	Author    maybe[wireUser] `json:"author"`
	Added     list[text]      `json:"added"`
	Removed   list[text]      `json:"removed"`
	Modified  list[text]      `json:"modified"`
}

type wireLabel struct {
	Name  text `json:"name"`
	Color text `json:"color"`
}

type wireIssue struct {
	ID            number                 `json:"id"`
	Number        text                   `json:"number"`
	Title         text                   `json:"title"`
	Body          text                   `json:"body"`
	HTMLURL       text                   `json:"html_url"`
	State         text                   `json:"state"`
	StateName     text                   `json:"state_name"`
	TypeName      text                   `json:"type_name"`
	User          maybe[wireUser]        `json:"user"`
	Assignee      maybe[wireUser]        `json:"assignee"`
	Collaborators people                 `json:"collaborators"`
	Labels        list[maybe[wireLabel]] `json:"labels"`
	Milestone     titled                 `json:"milestone"`
	CreatedAt     text                   `json:"created_at"`
	UpdatedAt     text                   `json:"updated_at"`
}

type wirePull struct {
	ID           number                 `json:"id"`
	Number       number                 `json:"number"`
	Title        text                   `json:"title"`
	Body         text                   `json:"body"`
	HTMLURL      text                   `json:"html_url"`
	State        text                   `json:"state"`
	Merged       flag                   `json:"merged"`
	MergeStatus  text                   `json:"merge_status"`
	User         maybe[wireUser]        `json:"user"`
	UpdatedBy    maybe[wireUser]        `json:"updated_by"`
	Assignee     people                 `json:"assignee"`
	Assignees    people                 `json:"assignees"`
	Tester       people                 `json:"tester"`
	Testers      people                 `json:"testers"`
	Labels       list[maybe[wireLabel]] `json:"labels"`
	Milestone    titled                 `json:"milestone"`
	Head         maybe[wireSide]        `json:"head"`
	Base         maybe[wireSide]        `json:"base"`
	Commits      number                 `json:"commits"`
	Additions    number                 `json:"additions"`
	Deletions    number                 `json:"deletions"`
	ChangedFiles number                 `json:"changed_files"`
	CreatedAt    text                   `json:"created_at"`
	UpdatedAt    text                   `json:"updated_at"`
	ClosedAt     text                   `json:"closed_at"`
	MergedAt     text                   `json:"merged_at"`
}

// wireSide is one end of a pull request.
type wireSide struct {
	Ref  text                  `json:"ref"`
	SHA  text                  `json:"sha"`
	Repo maybe[wireRepository] `json:"repo"`
}

type wireComment struct {
	ID        number          `json:"id"`
	Body      text            `json:"body"`
	HTMLURL   text            `json:"html_url"`
	User      maybe[wireUser] `json:"user"`
	Position  text            `json:"position"`
	CommitID  text            `json:"commit_id"`
	CreatedAt text            `json:"created_at"`
	UpdatedAt text            `json:"updated_at"`
}

// decode reads a JSON object into a T. Invalid UTF-8 is replaced, of keys that come twice the last of
// the right type counts. The error is a *MalformedError that quotes nothing of the body.
func decode[T any](body []byte) (*T, error) {
	var m maybe[T]
	err := json.Unmarshal(body, &m, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		offset := int64(-1)
		if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			offset = syntax.ByteOffset
		}
		return nil, &MalformedError{Reason: "the body is not valid JSON", Offset: offset}
	}
	if !m.got {
		return nil, malformed("the body is JSON, but not an object")
	}
	return &m.v, nil
}
