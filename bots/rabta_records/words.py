"""What the archiver says in a room, in English and Urdu; never anything else."""

RECORDING = (
    "This room is recorded. From now on I keep every message and file of it for the records "
    "office of this ministry, also what is edited or taken back later. What was said before is "
    "not kept. Whoever may remove me from the room ends the record.\n"
    "اس کمرے کا ریکارڈ رکھا جا رہا ہے۔ اب سے میں اس کا ہر پیغام اور ہر فائل اس وزارت کے "
    "شعبۂ ریکارڈ کے لیے محفوظ رکھتا ہوں، وہ بھی جو بعد میں بدلا یا واپس لیا جائے۔ "
    "پہلے کی گفتگو محفوظ نہیں۔ جو مجھے کمرے سے نکال سکتا ہے وہ ریکارڈ بند کر سکتا ہے۔"
)

ABOVE_CLASS = (
    "I keep no record of a room of this class, and leave. What was said since the class was "
    "raised is not kept.\n"
    "اس درجے کے کمرے کا ریکارڈ میں نہیں رکھتا، اور جا رہا ہوں۔ "
    "درجہ بڑھنے کے بعد کی گفتگو محفوظ نہیں۔"
)
