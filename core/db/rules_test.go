package db_test

import (
	"regexp"
	"strings"
)

// rule is something that SQL here must not do, because CockroachDB and PostgreSQL differ in it or because it undoes what
// the service is built on.
type rule struct {
	pattern *regexp.Regexp // of the plain text, see plain
	why     string
}

// listColumns is the one rule that is about upkeep alone.
const listColumns = "SELECT *: columns are listed"

var rules = []rule{
	{regexp.MustCompile(`\bPG_(TRY_)?ADVISORY`), "advisory locks: CockroachDB takes them and does nothing"},
	{regexp.MustCompile(`^(LISTEN|UNLISTEN|NOTIFY) |\bPG_NOTIFY\b`), "LISTEN and NOTIFY: not in CockroachDB; poll"},
	{regexp.MustCompile(`\bDEFERR(ABLE|ED)\b`), "deferrable constraints: not in CockroachDB"},
	{regexp.MustCompile(`\bTRIGGER\b`), "triggers: what they do is written nowhere in the code that runs"},
	{regexp.MustCompile(`\bEXCLUDE (USING|\()`), "EXCLUDE constraints: not in CockroachDB"},
	{regexp.MustCompile(`\b(INT4|INT8|NUM|TS|TSTZ|DATE)(MULTI)?RANGE\b`), "range types: not in CockroachDB"},
	{regexp.MustCompile(`\bCREATE DOMAIN\b`), "domains: not in CockroachDB"},
	{regexp.MustCompile(`\bMERGE INTO\b`), "MERGE: not in CockroachDB"},
	{regexp.MustCompile(`\bLOCK TABLE\b`), "LOCK TABLE: not in CockroachDB"},
	{regexp.MustCompile(`\bTEMP(ORARY)? TABLE\b|\bINTO TEMP\b|\bON COMMIT (DROP|DELETE|PRESERVE)\b`), "temporary tables"},
	{regexp.MustCompile(`\bUNLOGGED\b`), "unlogged tables: lost in a crash"},
	{regexp.MustCompile(`\bSAVEPOINT\b|\bROLLBACK TO\b`), "savepoints: use db.InTx"},
	{regexp.MustCompile(`\b(SELECT|RETURNING)( DISTINCT| ALL)? (\w+ ?\. ?)?\*|, ?(\w+ ?\. ?)?\*( |,|$)`), listColumns + ": a migration must not change what is read"},
	{regexp.MustCompile(`\bSKIP LOCKED\b`), "SKIP LOCKED: under SERIALIZABLE it costs several attempts for each success"},
	{regexp.MustCompile(`\b(SMALL|BIG)?SERIAL[248]?\b|\b(CREATE|ALTER) SEQUENCE\b|\bNEXTVAL\b|\bAS IDENTITY\b`), "sequences: keys are random UUIDs made by the client"},
	{regexp.MustCompile(`\b(INT|INT2|INT4|INTEGER|SMALLINT|BIGINT)\b`), "integer types other than INT8: INT is 4 bytes on one engine and 8 on the other"},
	{regexp.MustCompile(`\bON CONFLICT(?: DO\b| ON CONSTRAINT\b| WHERE\b|$)`), "ON CONFLICT without its columns"},
	{regexp.MustCompile(`[^<>=]/|/[^<>=]`), "division: of integers it means different things on the two engines"},
	{regexp.MustCompile(`=>`), "named function arguments: not in CockroachDB"},
	{regexp.MustCompile(`\b(CTID|XMIN|XMAX)\b`), "system columns: not in CockroachDB"},
}

// engineOnly is what only migrations for CockroachDB alone may use.
var engineOnly = regexp.MustCompile(`\bUSING HASH\b|\bREGIONAL BY ROW\b|\bLOCALITY\b|\bSPLIT AT\b|\bTTL_|\bAS OF SYSTEM TIME\b|\bCONFIGURE ZONE\b`)

var (
	blockComment  = regexp.MustCompile(`(?s)/\*.*?\*/`)
	lineComment   = regexp.MustCompile(`--[^\n]*`)
	quoted        = regexp.MustCompile(`'(?:[^']|'')*'`)
	whiteSpace    = regexp.MustCompile(`\s+`)
	sumCall       = regexp.MustCompile(`\bSUM ?\(`)
	notAWrite     = regexp.MustCompile(`\b(FOR( NO KEY)?|DO) UPDATE\b`)
	writeTarget   = regexp.MustCompile(`\b(?:INSERT INTO|UPDATE|DELETE FROM) (?:ONLY )?(\w+)`)
	clauseOfSum   = regexp.MustCompile(`^ ?(?:FILTER|OVER) ?\(`)
	castOfSum     = regexp.MustCompile(`^ ?:: ?INT8\b`)
	castAroundSum = regexp.MustCompile(`^ ?AS INT8 ?\)`)
)

// plain is SQL in capitals on one line, without comments and with every string constant emptied.
func plain(sql string) string {
	// Strings first: a comment mark inside one is not a comment. A quote inside a comment is rare, and would be seen.
	sql = quoted.ReplaceAllString(sql, "''")
	sql = lineComment.ReplaceAllString(sql, " ")
	sql = blockComment.ReplaceAllString(sql, " ")
	return strings.ToUpper(strings.TrimSpace(whiteSpace.ReplaceAllString(sql, " ")))
}

// offences lists what is wrong with one statement.
func offences(sql string) []string {
	var out []string
	p := plain(sql)
	for _, r := range rules {
		if found := r.pattern.FindString(p); found != "" {
			out = append(out, r.why+" ("+strings.TrimSpace(found)+")")
		}
	}
	if bareSum(p) {
		out = append(out, "sum(…) without ::INT8: it is NUMERIC on one engine and INT8 on the other")
	}
	seen := map[string]bool{}
	for _, match := range writeTarget.FindAllStringSubmatch(notAWrite.ReplaceAllString(p, ""), -1) {
		if seen[match[1]] {
			out = append(out, "two writes of table "+strings.ToLower(match[1])+" in one statement: their order is not defined")
		}
		seen[match[1]] = true
	}
	return out
}

// bareSum tells whether a sum is not cast, neither itself nor an expression around it.
func bareSum(p string) bool {
	for _, at := range sumCall.FindAllStringIndex(p, -1) {
		if !castAfter(p, closing(p, at[1]-1)) {
			return true
		}
	}
	return false
}

// castAfter looks for ::INT8 after the parenthesis that ends at end, or after one of those around it.
func castAfter(p string, end int) bool {
	for end >= 0 {
		rest := p[end+1:]
		if clause := clauseOfSum.FindString(rest); clause != "" {
			end = closing(p, end+len(clause))
			continue
		}
		if castOfSum.MatchString(rest) || castAroundSum.MatchString(rest) {
			return true
		}
		end = enclosing(p, end+1)
	}
	return false
}

// closing finds the parenthesis that closes the one at open; -1 if there is none.
func closing(p string, open int) int {
	depth := 0
	for i := open; i < len(p); i++ {
		switch p[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// enclosing finds the parenthesis that closes the group from is in; -1 if from is in none.
func enclosing(p string, from int) int {
	depth := 0
	for i := from; i < len(p); i++ {
		switch p[i] {
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}
