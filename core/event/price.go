package event

import (
	"fmt"

	"fairgate/ledger"
)

// Price is what one ticket costs and where the money goes: Face + Fee + Tax = AllIn.
type Price struct {
	Face  ledger.Amount `json:"face"`   // to the organizer
	Fee   ledger.Amount `json:"fee"`    // to the platform
	Tax   ledger.Amount `json:"tax"`    // to the tax office
	AllIn ledger.Amount `json:"all_in"` // from the buyer
}

// Price is the price of one ticket of a tier, computed as the package comment says.
func (s Spec) Price(t TierSpec) (Price, error) {
	p, err := price(t.Price, s.Fees, s.Taxes)
	if err != nil {
		return Price{}, fmt.Errorf("price tier %s: %w", t.ID, err)
	}
	return p, nil
}

func price(face ledger.Amount, fees Fees, taxes Taxes) (Price, error) {
	share, err := face.Portion(int64(fees.Percent), int64(whole))
	if err != nil {
		return Price{}, err
	}
	fee, err := fees.PerTicket.Add(share)
	if err != nil {
		return Price{}, err
	}
	divisor := int64(whole)
	if taxes.Included {
		divisor += int64(taxes.Percent)
	}
	taxOnFace, err := face.Portion(int64(taxes.Percent), divisor)
	if err != nil {
		return Price{}, err
	}
	taxOnFee, err := fee.Portion(int64(taxes.Percent), divisor)
	if err != nil {
		return Price{}, err
	}
	if taxes.Included {
		if face, err = face.Sub(taxOnFace); err != nil {
			return Price{}, err
		}
		if fee, err = fee.Sub(taxOnFee); err != nil {
			return Price{}, err
		}
	}
	tax, err := taxOnFace.Add(taxOnFee)
	if err != nil {
		return Price{}, err
	}
	net, err := face.Add(fee)
	if err != nil {
		return Price{}, err
	}
	allIn, err := net.Add(tax)
	if err != nil {
		return Price{}, err
	}
	return Price{Face: face, Fee: fee, Tax: tax, AllIn: allIn}, nil
}
