package render

// catalogue is all the words of a language. Its shape is that of the files in locales: a field's key tag is
// its name there, and its nouns tag names the places that its text must have, in the order in which say and
// with take what goes there. "a/b" wants one of the two, and "a:" a place that shows the text's own words.
// Each text is explained where it is first written, in zh-CN.yaml.
type catalogue struct {
	TimeZone timeZone `key:"time_zone"`
	Times    struct {
		Clock  clockLayout `key:"clock"`
		Date   sentence    `key:"date" nouns:"month day clock"`
		Months [12]term    `key:"months"`
	} `key:"times"`

	Marks struct {
		Separator term `key:"separator"`
		Tail      term `key:"tail"`
		Then      term `key:"then"`
	} `key:"marks"`

	Nouns struct {
		Somebody term     `key:"somebody"`
		Commits  amount   `key:"commits"`
		Files    amount   `key:"files"`
		Lines    sentence `key:"lines" nouns:"additions deletions"`
	} `key:"nouns"`

	Lists struct {
		People listWords `key:"people"`
		Words  listWords `key:"words"`
	} `key:"lists"`

	Push struct {
		Pushed      sentence `key:"pushed" nouns:"who commits branch repo"`
		PushedSome  sentence `key:"pushed_some" nouns:"who branch repo"`
		Created     sentence `key:"created" nouns:"who branch repo"`
		CreatedWith sentence `key:"created_with" nouns:"who commits branch repo"`
		Moved       sentence `key:"moved" nouns:"who branch repo"`
		Deleted     sentence `key:"deleted" nouns:"who branch repo"`
	} `key:"push"`

	Tag struct {
		Created sentence `key:"created" nouns:"who tag repo"`
		Moved   sentence `key:"moved" nouns:"who tag repo"`
		Deleted sentence `key:"deleted" nouns:"who tag repo"`
	} `key:"tag"`

	Issue struct {
		Opened       sentence `key:"opened" nouns:"who type issue repo"`
		Closed       sentence `key:"closed" nouns:"who type issue repo"`
		Reopened     sentence `key:"reopened" nouns:"who type issue repo"`
		Deleted      sentence `key:"deleted" nouns:"who type issue repo"`
		Assigned     sentence `key:"assigned" nouns:"who assignee type issue repo"`
		Taken        sentence `key:"taken" nouns:"who type issue repo"`
		Reassigned   sentence `key:"reassigned" nouns:"who type issue repo"`
		Unassigned   sentence `key:"unassigned" nouns:"who type issue repo"`
		StateChanged sentence `key:"state_changed" nouns:"who state type issue repo"`
		StateUnknown sentence `key:"state_unknown" nouns:"who type issue repo"`
		Labels       sentence `key:"labels" nouns:"who type issue repo"`
		Links        sentence `key:"links" nouns:"who type issue repo"`
		Updated      sentence `key:"updated" nouns:"who type issue repo"`
		States       struct {
			Open        term `key:"open"`
			Progressing term `key:"progressing"`
			Closed      term `key:"closed"`
			Rejected    term `key:"rejected"`
		} `key:"states"`
	} `key:"issue"`

	Pull struct {
		Opened           sentence `key:"opened" nouns:"who pull repo"`
		Closed           sentence `key:"closed" nouns:"who pull repo"`
		Reopened         sentence `key:"reopened" nouns:"who pull repo"`
		Merged           sentence `key:"merged" nouns:"who pull repo"`
		Approved         sentence `key:"approved" nouns:"who pull repo"`
		Tested           sentence `key:"tested" nouns:"who pull repo"`
		Assigned         sentence `key:"assigned" nouns:"who people pull repo"`
		Reassigned       sentence `key:"reassigned" nouns:"who pull repo"`
		Unassigned       sentence `key:"unassigned" nouns:"who pull repo"`
		TesterAssigned   sentence `key:"tester_assigned" nouns:"who people pull repo"`
		TesterReassigned sentence `key:"tester_reassigned" nouns:"who pull repo"`
		TesterUnassigned sentence `key:"tester_unassigned" nouns:"who pull repo"`
		Code             sentence `key:"code" nouns:"who pull repo"`
		Target           sentence `key:"target" nouns:"who target pull repo"`
		TargetUnknown    sentence `key:"target_unknown" nouns:"who pull repo"`
		Labels           sentence `key:"labels" nouns:"who pull repo"`
		Links            sentence `key:"links" nouns:"who pull repo"`
		Updated          sentence `key:"updated" nouns:"who pull repo"`
	} `key:"pull"`

	Comment struct {
		Created remarkWords `key:"created"`
		Edited  remarkWords `key:"edited"`
		Deleted struct {
			Repository sentence `key:"repository" nouns:"who repo"`
			Issue      sentence `key:"issue" nouns:"who type issue repo"`
			Pull       sentence `key:"pull" nouns:"who pull repo"`
			Commit     sentence `key:"commit" nouns:"who commit repo"`
		} `key:"deleted"`
	} `key:"comment"`

	Ping struct {
		Named   sentence `key:"named" nouns:"hook"`
		Unnamed term     `key:"unnamed"`
		Next    sentence `key:"next" nouns:"who repo"`
	} `key:"ping"`

	Facts struct {
		State         sentence `key:"state" nouns:"value"`
		Assignee      sentence `key:"assignee" nouns:"value"`
		Collaborators sentence `key:"collaborators" nouns:"value"`
		Reviewers     sentence `key:"reviewers" nouns:"value"`
		Testers       sentence `key:"testers" nouns:"value"`
		Milestone     sentence `key:"milestone" nouns:"value"`
		Labels        sentence `key:"labels" nouns:"value"`
		Route         sentence `key:"route" nouns:"value"`
		Changes       sentence `key:"changes" nouns:"value"`
		Mergeable     sentence `key:"mergeable" nouns:"value"`
		Author        sentence `key:"author" nouns:"value"`
		Detail        sentence `key:"detail" nouns:"value"`
	} `key:"facts"`

	Details struct {
		FromTo      sentence  `key:"from_to" nouns:"fork from to"`
		Conflict    term      `key:"conflict"`
		Moved       sentence  `key:"moved" nouns:"from to"`
		WasAt       sentence  `key:"was_at" nouns:"commit"`
		By          sentence  `key:"by" nouns:"author"`
		MoreCommits amount    `key:"more_commits"`
		MoreChanges term      `key:"more_changes"`
		ReadOn      term      `key:"read_on"`
		Image       plainTerm `key:"image"`
	} `key:"details"`

	Buttons struct {
		Commit     plainTerm `key:"commit"`
		Commits    plainTerm `key:"commits"`
		Branch     plainTerm `key:"branch"`
		Tag        plainTerm `key:"tag"`
		Issue      plainTerm `key:"issue"`
		Pull       plainTerm `key:"pull"`
		Comment    plainTerm `key:"comment"`
		Repository plainTerm `key:"repository"`
	} `key:"buttons"`

	Digest   digestWords  `key:"digest"`
	Failures failureWords `key:"failures"`

	Notes struct {
		MutedUntil plainSentence `key:"muted_until" nouns:"time"`
		Folded     plainSentence `key:"folded" nouns:"title"`
		Template   plainSentence `key:"template" nouns:"detail"`
	} `key:"notes"`
}

// listWords join nouns, and say how many there are in all, or how many more, where not all are named.
type listWords struct {
	Separator term     `key:"separator"`
	Last      term     `key:"last"`
	More      sentence `key:"more" nouns:"total/more"`
}

// remarkWords are of a comment that is still there, with words that lead to it.
type remarkWords struct {
	Repository sentence `key:"repository" nouns:"who comment: repo"`
	Issue      sentence `key:"issue" nouns:"who comment: type issue repo"`
	Pull       sentence `key:"pull" nouns:"who comment: pull repo"`
	Commit     sentence `key:"commit" nouns:"who comment: commit repo"`
}

// digestWords are those of several notifications told together.
type digestWords struct {
	InOne        sentence `key:"in_one" nouns:"repo events"`
	InSeveral    sentence `key:"in_several" nouns:"repositories events"`
	Events       amount   `key:"events"`
	Repositories amount   `key:"repositories"`
	Counts       struct {
		Push    amount `key:"push"`
		Tag     amount `key:"tag"`
		Issue   amount `key:"issue"`
		Pull    amount `key:"pull"`
		Comment amount `key:"comment"`
		Ping    amount `key:"ping"`
		Message amount `key:"message"`
	} `key:"counts"`
	Latest struct {
		Untimed sentence `key:"untimed" nouns:"what"`
		At      sentence `key:"at" nouns:"time what"`
		Between sentence `key:"between" nouns:"from to what"`
	} `key:"latest"`
	Pushed        sentence `key:"pushed" nouns:"who branch"`
	PushedSeveral sentence `key:"pushed_several" nouns:"who branch commits"`
	Times         sentence `key:"times" nouns:"n"`
	Elsewhere     term     `key:"elsewhere"`
	Messages      term     `key:"messages"`
}
