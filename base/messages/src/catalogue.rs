//! The table of texts. Adding one is one row here.
//!
//! A row is `Variant = "stored_name" (values), en "…", vi "…";`. The stored name is also the error code of the API, so
//! a name is never given to another meaning.

use crate::Language;
use crate::template::places_match;

macro_rules! messages {
    ($($variant:ident = $name:literal ($($value:literal),*), en $en:literal, vi $vi:literal;)*) => {
        /// One text of the catalogue.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Key { $($variant,)* }

        impl Key {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name under which the message is stored and sent.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Names of the values that the text has places for.
            pub const fn names(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($value,)*],)* }
            }

            /// The text with its places not filled in.
            pub const fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$variant, Language::En) => $en, (Self::$variant, Language::Vi) => $vi,)*
                }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|key| key.name() == name)
            }
        }

        $(const _: () = {
            assert!(places_match($en, &[$($value,)*]), concat!("the places of `", $name, "` (en) are not its values"));
            assert!(places_match($vi, &[$($value,)*]), concat!("the places of `", $name, "` (vi) are not its values"));
        };)*
    };
}

messages! {
    // Who may do what.
    NotSignedIn = "not_signed_in" (),
        en "sign in first",
        vi "hãy đăng nhập trước";
    NotAllowed = "not_allowed" ("role"),
        en "your role `{role}` may not do this; ask an administrator",
        vi "vai trò `{role}` của bạn không được phép làm việc này; hãy hỏi người quản trị";
    LoginFailed = "login_failed" (),
        en "user name or password is wrong",
        vi "tên đăng nhập hoặc mật khẩu không đúng";
    LoginDelayed = "login_delayed" ("seconds"),
        en "too many failed attempts; try again in {seconds} s",
        vi "đăng nhập sai quá nhiều lần; hãy thử lại sau {seconds} giây";
    SetupDone = "setup_done" (),
        en "set-up has already been done; sign in instead",
        vi "hệ thống đã được thiết lập; hãy đăng nhập";
    SetupTokenWrong = "setup_token_wrong" (),
        en "the set-up token is wrong; the server prints the right one when it starts",
        vi "mã thiết lập không đúng; máy chủ in mã đúng khi khởi động";
    CrossOrigin = "cross_origin" (),
        en "the request came from another site and was refused",
        vi "yêu cầu đến từ một trang khác nên bị từ chối";

    // What was asked for.
    NameInvalid = "name_invalid" (),
        en "a user name has 1 to 64 letters, digits, `.`, `_`, `-` or `@`",
        vi "tên đăng nhập gồm 1 đến 64 chữ cái, chữ số, `.`, `_`, `-` hoặc `@`";
    PasswordWeak = "password_weak" ("min", "max"),
        en "a password has {min} to {max} characters; a sentence is a good one",
        vi "mật khẩu dài từ {min} đến {max} ký tự; một câu dễ nhớ là tốt nhất";
    TimeZoneUnknown = "time_zone_unknown" ("name"),
        en "`{name}` is not a time zone; use a name such as `Asia/Ho_Chi_Minh`",
        vi "`{name}` không phải là múi giờ; hãy dùng tên như `Asia/Ho_Chi_Minh`";
    RequestInvalid = "request_invalid" ("problem"),
        en "the request cannot be read: {problem}",
        vi "không đọc được yêu cầu: {problem}";
    RequestTooLarge = "request_too_large" ("max"),
        en "the request is larger than {max}",
        vi "yêu cầu lớn hơn {max}";
    ParameterInvalid = "parameter_invalid" ("name", "expected"),
        en "parameter `{name}` is not valid; expected {expected}",
        vi "tham số `{name}` không hợp lệ; cần {expected}";
    RangeEmpty = "range_empty" (),
        en "the time range is empty: `from` must be before `to`",
        vi "khoảng thời gian rỗng: `from` phải trước `to`";
    QueryInvalid = "query_invalid" ("column", "problem"),
        en "the query cannot be read at column {column}: {problem}",
        vi "không đọc được truy vấn tại cột {column}: {problem}";
    QueryUnsupported = "query_unsupported" ("problem"),
        en "the query is understood but cannot be run here: {problem}",
        vi "truy vấn hợp lệ nhưng không chạy được ở đây: {problem}";
    QueryTimeout = "query_timeout" ("seconds"),
        en "no answer within {seconds} s; make the time range shorter or the query narrower",
        vi "không có kết quả trong {seconds} giây; hãy thu hẹp khoảng thời gian hoặc truy vấn";
    FieldUnknown = "field_unknown" ("name"),
        en "`{name}` is not a known field",
        vi "không có trường `{name}`";
    ReasonMissing = "reason_missing" (),
        en "closing an alert needs a reason",
        vi "cần nêu lý do khi đóng cảnh báo";
    NotFound = "not_found" (),
        en "there is nothing here under this address",
        vi "không có gì ở địa chỉ này";
    MethodNotAllowed = "method_not_allowed" (),
        en "this address does not take this method",
        vi "địa chỉ này không nhận phương thức này";
    EventNotFound = "event_not_found" ("id"),
        en "event `{id}` is not in the store; it may have passed its retention",
        vi "không có sự kiện `{id}` trong kho; có thể đã hết hạn lưu giữ";
    AlertNotFound = "alert_not_found" ("id"),
        en "there is no alert {id}",
        vi "không có cảnh báo {id}";
    RuleNotFound = "rule_not_found" ("id"),
        en "no rule with the id `{id}` is loaded",
        vi "không có luật nào có mã `{id}` đang được nạp";
    ProofMissing = "proof_missing" ("id"),
        en "alert {id} was raised by an older version and has no proof that can be judged again",
        vi "cảnh báo {id} do phiên bản cũ tạo ra nên không có bằng chứng để thẩm định lại";
    RuleOnlyFeeds = "rule_only_feeds" (),
        en "this rule raises nothing of its own; decide about the rules that it feeds",
        vi "luật này không tự tạo cảnh báo; hãy quyết định ở các luật dùng nó";
    RuleChangedMeanwhile = "rule_changed_meanwhile" (),
        en "the rule has changed since you looked at it; look at it again",
        vi "luật đã thay đổi từ khi bạn xem; hãy xem lại";
    RuleBacktestMissing = "rule_backtest_missing" (),
        en "no backtest of this rule as it is now has been shown within the last 24 hours; run one first",
        vi "trong 24 giờ qua chưa chạy thử luật này (bản hiện tại) trên dữ liệu cũ; hãy chạy thử trước";
    RuleSamplesFail = "rule_samples_fail" ("count"),
        en "{count} samples of the rule do not do what they should; mend the rule or its samples first",
        vi "{count} mẫu của luật không cho kết quả như mong đợi; hãy sửa luật hoặc mẫu trước";
    RuleSamplesUnreadable = "rule_samples_unreadable" ("problem"),
        en "the samples of the rule cannot be read: {problem}",
        vi "không đọc được mẫu của luật: {problem}";
    RuleTextInvalid = "rule_text_invalid" ("problems"),
        en "the rule does not load: {problems}",
        vi "luật không nạp được: {problems}";

    // What went wrong here.
    StoreUnavailable = "store_unavailable" (),
        en "the event store does not answer; the log of the server says why",
        vi "kho sự kiện không trả lời; nhật ký máy chủ ghi rõ nguyên nhân";
    StateUnavailable = "state_unavailable" (),
        en "the state database does not answer; the log of the server says why",
        vi "cơ sở dữ liệu trạng thái không trả lời; nhật ký máy chủ ghi rõ nguyên nhân";
    TooBusy = "too_busy" (),
        en "too many requests of this kind are running; try again in a moment",
        vi "đang có quá nhiều yêu cầu loại này; hãy thử lại sau giây lát";
    Internal = "internal" (),
        en "something went wrong in the server; give the request id to its administrator",
        vi "máy chủ gặp lỗi; hãy gửi mã yêu cầu cho người quản trị";

    // `canh doctor`: what it found, and what to do.
    DoctorDirectory = "doctor_directory" ("path"),
        en "data directory `{path}` is there",
        vi "có thư mục dữ liệu `{path}`";
    DoctorNoDirectory = "doctor_no_directory" ("path", "problem"),
        en "cannot use `{path}` as the data directory: {problem}",
        vi "không dùng được `{path}` làm thư mục dữ liệu: {problem}";
    DoctorNoDirectoryAdvice = "doctor_no_directory_advice" (),
        en "give the directory that the server was started with: canh doctor --data DIR",
        vi "hãy chỉ ra thư mục mà máy chủ đã khởi động cùng: canh doctor --data DIR";
    DoctorSpace = "doctor_space" ("size"),
        en "{size} GiB free where the data is",
        vi "còn trống {size} GiB ở nơi chứa dữ liệu";
    DoctorSpaceAdvice = "doctor_space_advice" (),
        en "make room, or keep events for fewer days (`store.retention_days`); without room no logs are taken in",
        vi "hãy giải phóng chỗ trống, hoặc giảm số ngày lưu sự kiện (`store.retention_days`); hết chỗ thì không nhận được nhật ký";
    DoctorReady = "doctor_ready" ("address"),
        en "the server at {address} is ready",
        vi "máy chủ tại {address} đã sẵn sàng";
    DoctorFailed = "doctor_failed" ("problem"),
        en "no answer: {problem}",
        vi "không có trả lời: {problem}";
    DoctorFailedAdvice = "doctor_failed_advice" (),
        en "start the server with `canh serve`, or read its log",
        vi "hãy khởi động máy chủ bằng `canh serve`, hoặc đọc nhật ký của nó";
    DoctorPage = "doctor_page" (),
        en "the web client is built in",
        vi "đã có sẵn giao diện web";
    DoctorNoPage = "doctor_no_page" (),
        en "this program was built without the web client",
        vi "chương trình này được biên dịch không kèm giao diện web";
    DoctorNoPageAdvice = "doctor_no_page_advice" (),
        en "run `./dev web`, then build again",
        vi "hãy chạy `./dev web` rồi biên dịch lại";
    HuntNothingInRange = "hunt_nothing_in_range" ("from", "to", "time"),
        en "no event matches from {from} to {to}; the newest that does is of {time}, so look further with --since or --to",
        vi "không có sự kiện nào khớp từ {from} đến {to}; sự kiện khớp mới nhất là lúc {time}, hãy mở rộng bằng --since hoặc --to";
    HuntNothingMatches = "hunt_nothing_matches" ("time"),
        en "no event matches, whatever its time; the newest event of all is of {time}",
        vi "không có sự kiện nào khớp ở bất kỳ thời điểm nào; sự kiện mới nhất trong kho là lúc {time}";
    HuntStoreEmpty = "hunt_store_empty" (),
        en "there are no events at all; `canh doctor` says whether anything is sent here",
        vi "chưa có sự kiện nào; `canh doctor` cho biết có nguồn nào đang gửi về không";
    DoctorRules = "doctor_rules" ("count"),
        en "{count} detection rules are loaded",
        vi "đã nạp {count} luật phát hiện";
    DoctorNoRules = "doctor_no_rules" (),
        en "no detection rules are loaded",
        vi "chưa nạp luật phát hiện nào";
    DoctorNoRulesAdvice = "doctor_no_rules_advice" (),
        en "start with `--rules DIR`, or set `detection.rules`",
        vi "hãy khởi động với `--rules DIR`, hoặc đặt `detection.rules`";
    DoctorBrokenRules = "doctor_broken_rules" ("broken", "count"),
        en "{broken} rules could not be loaded, {count} are",
        vi "{broken} luật không nạp được, {count} luật đã nạp";
    DoctorBrokenRulesAdvice = "doctor_broken_rules_advice" (),
        en "see the Rules page, or run `canh rules check DIR`",
        vi "xem trang Luật, hoặc chạy `canh rules check DIR`";
    DoctorAgents = "doctor_agents" ("count"),
        en "{count} senders are known, no agent is silent",
        vi "đã biết {count} nguồn gửi, không tác tử nào im lặng";
    DoctorSilent = "doctor_silent" ("names"),
        en "silent agents: {names}",
        vi "tác tử im lặng: {names}";
    DoctorSilentAdvice = "doctor_silent_advice" (),
        en "look at the service canh-agent on these machines",
        vi "hãy kiểm tra dịch vụ canh-agent trên các máy này";
    DoctorCertificate = "doctor_certificate" ("days"),
        en "the certificate of the doors with TLS is valid for {days} more days",
        vi "chứng thư của các cổng nhận TLS còn hạn {days} ngày";
    DoctorCertificateExpired = "doctor_certificate_expired" (),
        en "the certificate of the doors with TLS has expired; senders that check it send nothing",
        vi "chứng thư của các cổng nhận TLS đã hết hạn; bên gửi nào kiểm tra chứng thư sẽ không gửi được";
    DoctorCertificateAdvice = "doctor_certificate_advice" (),
        en "put a new certificate into the files of `[collector.tls]` and send the server SIGHUP",
        vi "hãy thay chứng thư mới vào các tệp của `[collector.tls]` rồi gửi SIGHUP cho máy chủ";
    DoctorNoDrops = "doctor_no_drops" (),
        en "nothing was dropped since the server started",
        vi "không mất gì kể từ khi máy chủ khởi động";
    DoctorDrops = "doctor_drops" ("list"),
        en "dropped since the server started: {list}",
        vi "đã mất kể từ khi máy chủ khởi động: {list}";
    DoctorDropsAdvice = "doctor_drops_advice" (),
        en "docs/sending.md explains each reason",
        vi "docs/sending.md giải thích từng lý do";

    // `canh demo` and the start of the server.
    DemoBegin = "demo_begin" ("lines", "packets"),
        en "{lines} log lines and {packets} packets of ten servers",
        vi "{lines} dòng nhật ký và {packets} gói tin của mười máy chủ";
    DemoPlayed = "demo_played" (),
        en "the demo has been played into this data directory before; `./dev clean` or another --data begins anew",
        vi "kịch bản đã được phát vào thư mục dữ liệu này; dùng `./dev clean` hoặc --data khác để bắt đầu lại";
    DemoBroken = "demo_broken" (),
        en "the demo was broken off before; what it had sent will be there twice",
        vi "lần phát trước bị dừng giữa chừng; phần đã gửi sẽ có hai lần";
    DemoStored = "demo_stored" ("seconds"),
        en "sent and stored after {seconds} s",
        vi "đã gửi và lưu sau {seconds} giây";
    DemoAlerts = "demo_alerts" ("count"),
        en "{count} alerts:",
        vi "{count} cảnh báo:";
    SetupLink = "setup_link" ("link"),
        en "Set up the first user here, once:  {link}",
        vi "Tạo người dùng đầu tiên tại đây, một lần duy nhất:  {link}";
}
