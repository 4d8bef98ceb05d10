// The page's words in English and Urdu. A test holds both to the same keys.
import { describe } from "./refusal.mjs";

export const WORDS = {
  en: {
    accept: "Accept",
    answered: "You answered: {answer}",
    anotherTab: "Rabta is open in another tab of this browser. Use that one.",
    cancel: "Cancel",
    chooseRoom: "Choose a room.",
    createIdentity: "Create my identity",
    device: "This device",
    deviceSigned: "signed by its owner",
    edited: "edited",
    encrypted: "Encrypted; the sender's device is signed by its owner.",
    homeserver: "Ministry",
    identityNew:
      "This account has no identity yet. Create one: this device is signed with it, and you get a recovery key for your next device.",
    invites: "Invitations",
    invitedBy: "from {user}",
    keepRecoveryKey: "Write this recovery key down and keep it safe. It is shown only once.",
    language: "اردو",
    message: "Message",
    messages: "Messages",
    noRooms: "No rooms yet. An invitation appears here by itself.",
    notSent: "Not sent",
    password: "Password",
    recoveryKey: "Recovery key",
    recoveryKeyKept: "I have kept it",
    removed: "Removed.",
    reply: "Reply",
    replyingTo: "Replying to: {text}",
    rooms: "Rooms",
    send: "Send",
    sending: "Sending …",
    signIn: "Sign in",
    signOut: "Sign out",
    silentRoom:
      "In this room only e-Office writes, so nothing can be sent from here. What asks for an answer comes to the room of your post: answer it there.",
    starting: "Opening your rooms …",
    tryAgain: "Try again",
    unencrypted: "Not encrypted: anybody who runs a server may have written this.",
    unlock: "Sign this device",
    unlockHint: "Your recovery key signs this device, so that e-Office accepts your decisions.",
    unreadable: "This message cannot be read on this device ({reason}).",
    unsignedSender: "Not shown: it came from a device that its owner has not signed.",
    user: "User name",
    warning: "Warning: {reason}",
    // Reason codes of what may go wrong; anything else is shown with its code.
    "device-not-signed": "The identity did not sign this device. Try again.",
    "homeserver-unreachable": "The homeserver does not answer.",
    "identity-not-stored": "The account's identity is not in its secret storage.",
    M_FORBIDDEN: "Wrong user name or password.",
    M_LIMIT_EXCEEDED: "Too many attempts. Wait a little and try again.",
    "no-secret-storage": "The account has no recovery key yet.",
    "recovery-key-wrong": "This is not the account's recovery key.",
    other: "It did not work: {reason}",
  },
  ur: {
    accept: "قبول کریں",
    answered: "آپ کا جواب: {answer}",
    anotherTab: "رابطہ اسی براؤزر کے دوسرے ٹیب میں کھلا ہے۔ وہی استعمال کریں۔",
    cancel: "منسوخ",
    chooseRoom: "کوئی کمرہ چنیں۔",
    createIdentity: "میری شناخت بنائیں",
    device: "یہ آلہ",
    deviceSigned: "مالک کا دستخط شدہ",
    edited: "ترمیم شدہ",
    encrypted: "خفیہ کردہ؛ بھیجنے والے کا آلہ اس کے مالک کا دستخط شدہ ہے۔",
    homeserver: "وزارت",
    identityNew:
      "اس کھاتے کی ابھی کوئی شناخت نہیں۔ شناخت بنائیں: اس آلے پر اسی سے دستخط ہوں گے اور اگلے آلے کے لیے بازیابی کلید ملے گی۔",
    invites: "دعوتیں",
    invitedBy: "منجانب {user}",
    keepRecoveryKey: "یہ بازیابی کلید لکھ کر محفوظ رکھیں۔ یہ صرف ایک بار دکھائی جاتی ہے۔",
    language: "English",
    message: "پیغام",
    messages: "پیغامات",
    noRooms: "ابھی کوئی کمرہ نہیں۔ دعوت یہاں خود ظاہر ہو گی۔",
    notSent: "نہیں بھیجا گیا",
    password: "پاس ورڈ",
    recoveryKey: "بازیابی کلید",
    recoveryKeyKept: "میں نے محفوظ کر لی",
    removed: "ہٹا دیا گیا۔",
    reply: "جواب دیں",
    replyingTo: "جواب بنام: {text}",
    rooms: "کمرے",
    send: "بھیجیں",
    sending: "بھیجا جا رہا ہے …",
    signIn: "داخل ہوں",
    signOut: "باہر نکلیں",
    silentRoom:
      "اس کمرے میں صرف ای آفس لکھتا ہے، اس لیے یہاں سے کچھ نہیں بھیجا جا سکتا۔ جس بات کا جواب درکار ہو وہ آپ کے عہدے کے کمرے میں آتی ہے: جواب وہیں دیں۔",
    starting: "آپ کے کمرے کھل رہے ہیں …",
    tryAgain: "دوبارہ کوشش کریں",
    unencrypted: "خفیہ نہیں: سرور چلانے والا کوئی بھی یہ لکھ سکتا تھا۔",
    unlock: "اس آلے پر دستخط کریں",
    unlockHint: "بازیابی کلید اس آلے پر دستخط کرتی ہے تاکہ ای آفس آپ کے فیصلے قبول کرے۔",
    unreadable: "یہ پیغام اس آلے پر نہیں پڑھا جا سکتا ({reason})۔",
    unsignedSender: "نہیں دکھایا گیا: یہ ایسے آلے سے آیا جس پر مالک کے دستخط نہیں۔",
    user: "صارف کا نام",
    warning: "خبردار: {reason}",
    "device-not-signed": "شناخت نے اس آلے پر دستخط نہیں کیے۔ دوبارہ کوشش کریں۔",
    "homeserver-unreachable": "سرور جواب نہیں دے رہا۔",
    "identity-not-stored": "کھاتے کی شناخت محفوظ ذخیرے میں نہیں۔",
    M_FORBIDDEN: "صارف کا نام یا پاس ورڈ غلط ہے۔",
    M_LIMIT_EXCEEDED: "بہت زیادہ کوششیں۔ کچھ دیر بعد دوبارہ کوشش کریں۔",
    "no-secret-storage": "اس کھاتے کی ابھی کوئی بازیابی کلید نہیں۔",
    "recovery-key-wrong": "یہ اس کھاتے کی بازیابی کلید نہیں۔",
    other: "کام نہیں ہوا: {reason}",
  },
};

/** The words of one language: a function from a key, and values to fill in, to a sentence. */
export function speaker(language) {
  return (key, values = {}) =>
    WORDS[language][key].replace(/\{(\w+)\}/g, (_whole, name) => values[name]);
}

/** What went wrong, in words. */
export function explain(say, language, error) {
  const { reason, errcode, detail } = describe(error);
  const key = [errcode, reason].find((code) => code && Object.hasOwn(WORDS[language], code));
  return key ? say(key) : say("other", { reason: `${errcode ?? reason}: ${detail}` });
}
