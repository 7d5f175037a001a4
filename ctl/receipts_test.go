package ctl

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAFileOfReceiptsIsReadOrRefusedWithItsLine(t *testing.T) {
	rows, err := parseReceipts(strings.NewReader("\ufeffid,amount,reference,currency,note\r\n1,65.00,\"RF18 5390 0754 7034\",EUR,\n2, 3 ,,EUR,\"two\nlines\"\n"))
	want := []map[string]string{{"id": "1", "amount": "65.00", "reference": "RF18 5390 0754 7034", "currency": "EUR"}, {"id": "2", "amount": "3", "currency": "EUR", "note": "two\nlines"}}
	if err != nil || !reflect.DeepEqual(rows, want) {
		t.Errorf("%v, %v", rows, err)
	}
	const head = "id,reference,amount,currency\n"
	for text, says := range map[string]string{
		"":                                  "the head line",
		"id,reference,amount\n":             `"currency" is missing`,
		"id,id,reference,amount,currency\n": `no column "id", or not twice`,
		"iban,reference,amount,currency\n":  `no column "iban"`,
		head + "1,,2,EUR\n\n2,,,EUR\n":      "line 4: amount is missing",
		head + "1,,2\n":                     "wrong number of fields",
		head + "1,\x00,2,EUR\n":             "line 2: reference is no text",
		head + "1,\xff,2,EUR\n":             "line 2: reference is no text",
		head + "1,,2,EURO\n":                "line 2: currency is no text of at most 3",
		head + strings.Repeat("1,,2,EUR\n", maxReceiptRows+1):       fmt.Sprintf("more than %d rows", maxReceiptRows),
		head + "1,,2,EUR\n\"" + strings.Repeat("x", maxReceiptFile): fmt.Sprintf("more than %d bytes", maxReceiptFile),
	} {
		if rows, err := parseReceipts(strings.NewReader(text)); err == nil || rows != nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %d rows, %v, want %q", text, len(rows), err, says)
		}
	}
}

func FuzzReceipts(f *testing.F) {
	f.Add("id,reference,amount,currency\n1,RF18,2.00,EUR\n")
	f.Add("id,reference,amount,currency,note,received_at\n\"1\n\",,2,EUR,\"a \"\"b\"\"\",2027-06-01T10:00:00Z\n")
	f.Add("\ufeffid,amount,reference,currency\r\n1,2")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := parseReceipts(strings.NewReader(text))
		if err != nil && rows != nil {
			t.Fatalf("%d rows of a file that is refused: %v", len(rows), err)
		}
		for _, row := range rows {
			if row["id"] == "" || row["amount"] == "" || row["currency"] == "" {
				t.Fatalf("%v lacks something", row)
			}
			for name, field := range row {
				if most := receiptColumns[name]; most == 0 || field == "" || utf8.RuneCountInString(field) > most || !utf8.ValidString(field) || strings.ContainsRune(field, 0) {
					t.Fatalf("%s is %q", name, field)
				}
			}
		}
	})
}
