"""Workers killed at random under load: nothing lost, nothing twice, no hang, nothing left over; peers beside it."""
