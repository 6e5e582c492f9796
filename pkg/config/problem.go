package config

import configv1 "gitee.com/belfry/belfry/gen/belfry/config/v1"

// Check finds what is wrong with a configuration beyond what the schema and this package know: rules,
// templates. It is given a configuration whose values are put in place and whose defaults are filled in,
// and leaves it unchanged. Parts that the command is not for are nil in it.
type Check func(cfg *configv1.Config) []Problem

// Problem is one thing wrong with one value.
type Problem struct {
	// Path is the value's place, such as "gateway.hooks[0].routes[1].when".
	Path string
	// Line and Column count from 1 within the value's text, the column in code points; both are 0 for the
	// value as a whole.
	Line, Column int
	// Message says what is wrong and what to do, without the value itself where that could be a secret.
	Message string
}
