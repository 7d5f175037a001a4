package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// notBuyers are the codes of refusals that no page of a buyer meets: those of organizers, of gates, of edges and of providers, and those that
// mean a mistake of a program that calls the interface by itself.
var notBuyers = strings.Fields(`
	idempotency_key_missing idempotency_key_malformed
	account_unknown allocation_unknown amount_overflow balance_insufficient ban_invalid ban_unknown beacon_early beacon_fixed beacon_known
	beacon_name_invalid beacon_none beacon_value_invalid booked_otherwise booking_amount buyer_account_unknown correction_stale day_invalid
	day_unread dispute_over dispute_unknown edge_not_found item_decided item_unknown key_not_newest keys_full mail_alive mail_over mail_unknown
	no_review nothing_to_book offline_off order_not_due payout_disputed payout_early payout_not_sent payout_short payout_state payout_unknown
	presale_word_invalid reason_invalid receipt_amount receipt_too_little receipt_unknown receipt_used refund_came_back refund_decided
	refund_made refund_not_failed refund_not_found_there refund_part refund_reviewed refund_run_unknown release_other sale_started sale_without_invitations
	sales_overlap settlement_file settlement_row settlement_unreadable task_alive task_unknown ticket_without_seat tier_other times_invalid
	title_too_long unauthorized verdict_invalid verdict_unknown
	code_forged code_malformed code_other_event code_static gate_exists gate_invalid gate_unauthorized gate_unknown gates_closed
	scan_id_reused scan_log_invalid scan_undone scan_unknown ticket_companion ticket_inside ticket_outside ticket_superseded zone_other zone_unknown
	batch_too_long edge_revoked edge_unknown key_refused sale_other
	pass_token too_many_devices webhook_malformed webhook_signature`)

// codesIn are the codes of the composite literals of a Go file that have an HTTP status and, next to it, a code.
func codesIn(t *testing.T, name string) map[string]bool {
	t.Helper()
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	status, form, codes := regexp.MustCompile(`^[45][0-9]{2}$`), regexp.MustCompile(`^[a-z0-9_]+$`), map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		for i := 0; i+1 < len(literal.Elts); i++ {
			number, is := literal.Elts[i].(*ast.BasicLit)
			text, too := literal.Elts[i+1].(*ast.BasicLit)
			if is && too && number.Kind == token.INT && text.Kind == token.STRING && status.MatchString(number.Value) {
				if code, err := strconv.Unquote(text.Value); err == nil && form.MatchString(code) {
					codes[code] = true
				}
			}
		}
		return true
	})
	return codes
}

func TestEveryRefusalThatABuyerMeetsHasWordsInEachLanguage(t *testing.T) {
	codes := codesIn(t, "../problem.go")
	codes["internal"] = true
	mine := len(codes)
	for code := range codesIn(t, "../../core/api/problem.go") {
		codes[code] = true
	}
	if mine < 40 || len(codes) < 200 {
		t.Fatalf("found %d codes of edges, %d in all", mine, len(codes))
	}
	others := map[string]bool{}
	for _, code := range notBuyers {
		others[code] = true
		if !codes[code] {
			t.Errorf("%s is no code any more", code)
		}
	}
	for _, l := range pages(t).Languages() {
		for code := range codes {
			if said := l.Has("problem."+code) || l.Has("refused."+code); said == others[code] {
				t.Errorf("%s: %s has words: %v", l.Code, code, said)
			}
		}
	}
}
