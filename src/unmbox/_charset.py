"""The charset of octets that name none.

`decode_8bit` weighs readings: what the octets would say in each charset, and how many bits that text costs
in a language of the charset, given how often its characters occur and how its words are capitalised. What
is known beforehand is added: charsets that the message declares, its body, a locale. The cheapest reading
wins. For names and subjects of a few characters this does better than a detector made for documents (see
``benchmarks/charset_accuracy.py``); chardet is asked only where no reading is a good one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import Final

from unmbox._codecs import codec_name, decode_strictly, errors_for, iso_2022_jp, keeps_ascii, no_text

# How many bits each character costs in a language: `7的是` says 7 for each of the two (it makes up 1/128
# of all text). Counted from the word lists of the wordfreq project and the name lists of the Faker
# project, not from the texts of the benchmark. CJK holds the commonest characters, the rest is below.
_TABLES: Final = {
    "ja": (
        "6藤田い子ー7山木るし中かっ本な会のン太社佐りくてたすと村加にで美スられんう8ま林あ橋一鈴さ直小高川裕"
        "がも香イトはこみル樹きだ人ッ井け上合真リラ伊をク渡辺ア同え也平陽々松有介9およ限郎そ式吉明ち水代わ株"
        "実知めつや岡タ花春結織千どゆ部ドレ口学下シ石前ロカ綾幹フ衣桃里マ奈大夏佳ジ行舞京日清七コプ助後長気"
        "崎せ智洋出修和零バ阿島ろ斎チじ司翼治キ森池テメ10浩健充篤晃翔見近淳英ムゃグ稔西ガ生聡ね通ャ拓原サブ"
        "谷康オ三分ィ弘亮青パニデ涼事業ばウ遠福ナ食間信言手エ時浦ュ自ミ入電ダ年思品報設ビ国運坂方情保ず産斉"
        "作ご建動ハズげ無発セョツ用地今モ定11全銀場物者印市輸新当最ょ女目来体理取ほボネェ月ケ険ベポべ農ワ力"
        "回刷立名鉱性金びソ感話ピ的む内不戦多使度画開外持ノ対何意ぶ変所家付ホぎ数成野関心面法書良化現楽東込"
        "味ヤ切要ァ機神安道解ひ期ぐ連ゴ世正ペ主引文先ゲ公区教少以車売様能員初記着特強好ギ12選死違向語私決愛"
        "悪ザ表へ身相受白集重海続"
    ),
    "zh-cn": (
        "7张王李有秀桂英刘梅的兰建华公一陈司玉杨8国人限丽不淑是珍市红大黄凤婷中县丹成芳平军林周在赵为这强个9"
        "荣金会吴上来信了云高雪我年马文时徐出网生子科地学发娟小何利家以到海燕想方要行明传息罗霞孙朱们龙技天"
        "下能对动开胡东于和法用他多自飞过郭欢新可花电分健后主日事博么作超机民雷说刚络阳部长得洋10畅媒现业好"
        "香俊峰本谢琴经敏志鑫同晶力全莉杰宁政里伟佳心安曾理许鹏就慧之梁定莹楠面实关工瑞玲合任体前娜进柳倩波"
        "美旭无看名所瑜区当你通者点唐兵凯郑勇外洁璐芝斯性万意特彬静西道重三宋涛加坤最琳没亮员春而辉程宇内帆"
        "萍帅起制联都如也第然数南产女其场化手晨斌还与那田间浩冬情正颖苏艳月度样余曹物相邓种代教岩韩期次常吕"
        "磊去石位两计入战世因尔应范着立水表资此欣车件蔡提总只些门等十真解路杜创北州比史回从叶务权系问头很蒋"
        "报口保结山冯钟由身11话及原台彭袁交拉沈董什向受亚白知见老萧潘品丁克单被别二但吗并目陆果变论管活量打"
        "运设游选太处统共接视将魏已使院城德爱认风议反影放图社党题记感谭基元治邹气球书格少钱乐给四更该义色快"
        "组商队展各界流式江布姜导集线级师包夏几施做广际字决改直廖空片领至武纪戴达收指持语怎儿取姚顾韦规严算"
        "号府士维或段难专先欧术调带办团卢费据今死站非服约熊证汪让求查崔易完边转软命思神类毕邱光五每称造百再"
        "言条首近告价远失尹观推清济案委质干贾参众京历局节她巴官形连秦器薛星阎才农标孟确育康兴牛支侯争声把示"
        "深极划精友庄装觉像走温举演始鲁听音容男整它省傅亲己击离赛备港请项校消必型火群准职步根孔龚阿照护复需"
        "源齐房试投住料12未势望陶注具候列致则杀识尼客族满引增续优景象派毛又害考医喜古除助病热六营版境郝存属"
        "警艺哈闻双研米黑早写越获申足态眼预宣亿普值便童即往左构曲尚沙莫倪律洲泰哪洪卡银夫黎断独协落母评歌功"
        "依汤随效模村况供承简孩环伤较切份居河且责剧半显究土防留食画密例富速卫福讯验终户织谈录绝戏率低诺印吧"
        "错奥伍察千焦令习底播木汉修买玩止蒙找班控编革哥席益希七晚故监初汇响脑尽青樊股层置破葛艾九八念采排吃"
        "朋负刻企奖轻送读角室妈假压积盟岁待章却拿养庞仅吉鞠纳裴跟威配奇园愿另油批药停微季讲票财岛伊够赖劳免"
        "救罪围审款啊宝铁血犯险换紧升继判馆盛测域镇索嘉凌诉惠笑差抗帮朝适久诚须楼店频辛状销执检策否詹封鲍叫"
        "父夜核突旅皮良恶湖酒弹移谁货担符素斗射异彩述航"
    ),
    "zh-tw": (
        "6美陳7林志有秀淑的黃文麗一俊張公宏明李華國8人家司不玉限王玲建是中大雄雅吳惠子珠劉豪蔡成在宇為這楊個"
        "9珍會怡冠來上許資我素了年發行翰生月進英金出時正廷謝高柏地宗電業娟學以到鄭承雲要蘭市台恩賴們婷政份方"
        "傑可股對法能下自於他琴用日慧天訊事曾動多邱過心銘和信作廖開賢麼分主後洪蘇鳳新說民徐長世葉榮龍得部現"
        "翔江10好何品義機貞本全經卿理體之力強小就德霖芬灣工當定同周實三面前羅無哲北縣看你關所名忠合化碧君者"
        "外意員重偉宜道最性郭遠沒點加區西而斯場香興也利內起如梅著然其產女第佳與還安那都良東睿海特手潘間裡靜"
        "情想樣位種度平相數代物蓮簡蕭期運教去視山呂兩因入馬網昌商應施莊通次南戰車保任此立統永水聯軍表光務科"
        "些總等真彭制比頭雯從男太原口見很娥計十問達路只霞結報武亞秋臺爾提維及設話身解門瑋共11常什克程由回沈"
        "受權知顏廣交愛被影鍾但欣嗎老社游別果萬目論古變活選二打量使已將接空輝處城基際威認語勝樂銀議拉祥院界"
        "白並技反集件導放題百胡記感管治傳遊少星章連給更財該彬書寶蓁團戴氣向展店各組士色隊石流式詹級做博元幾"
        "風圖決改黨直線宥至領怎單"
    ),
    "ko": (
        "5이김6지영정서수현자박7다은민주사진한아우성가고하호준시상리스도기유경윤미최원에어장로는숙8나인오대"
        "예회라니순식일의해보그전안요재제구훈을동마트부신철연강희조중드명남문소선9으들만게여승옥거면공국비무"
        "있건를야권모황데세류배려위양람내발후화과개생송러치차바터노종홍심혜단코레계관네크간분임실래통프타까"
        "손백광저학적름환음교방당석행용했10루병운포체금와입물할산더합작었반길월히말르온너파것허버카출두되습"
        "디채혁워웅피없각감군역업년때결매직알른속본천같토력춘테올불청등법메씨설난브처달랑티번키표된며판형린"
        "집점글항살즈추11언약질벌울외함던태런걸든술좋빈초복않날격플애목근편변평겨절님친료머엄증열잘급돌따겠"
        "션곽였참새록독란별또못특져투엔많받누페능확느베았늘템품필색망론향께담막립커맞블갈존창악북활줄축령얼"
        "센링렇녀림혼총육럼완싶먹릴획클12책쪽족솔퍼침패케봐충접졌범왔죽취냐긴푸빛검찾빠렸잡험볼움왜앙쳐왕앤"
        "밀응츠곳짜락폭극윈협탄랜량귀착련규첨견될끼쓰찰슨죠눈몰앞억슬힘삼넥쿠뭐좀답잠탈룹셔뉴럽놀써택넘났랫"
        "떠틱뒤및끝셨쟁닌캐냥째폼먼죄놓골농싸웍틀십랩곡뷰널됐휴돼줘엘갑혀찬둘떨굴득켜례첫갔혹릭암익측빨징13"
        "풍봉웨꾸밤웃효논염념팀돈쉬큰몇욕콘꺼팅램깨폰액팔갖헤벽몸압괴폐탁잖봤즐렌"
    ),
    "ru": "3оа4иенвтрс5лкмдп6уячьгбыз7йхфж8шюц9эщ11ё12ъ",
    "uk": "3ао4ниреівкт5слдмуп6язбгьчй7хцюшжїє8щф12ґ",
    "el": "3α4οστιενρ5κλπημυάί6δςγόέήωχύ7θφβώ8ζξ10ψ11ϊ12ΐ13ϋ",
    "he": "3יו4הלארמב5תשנדעחםן6כקספגטז7צ8ךף9ץ",
    "ar": "3ال4يمنرو5بدتسةعه6كفقأحج7شصطذخزىض8إثغءئ9ظآّ10ؤ12ُ13َ",
    "th": "4รนาิั5์ุวยตกมทพสเีอช6ลดงธะณศญภ7ปจบถ่คษ้หฐไแู8ำขโ9ฒซผฉฤืฮ็10ฑฏฎฟ11ึใ๊ฆ12ฌ13ฬ",
    "en": "3ea4nirtosl5hdcmu6ygpbwfk7vj8z9x10q13é",
    "de": "3en4riasth5ldugcomb6fkwpz7v8üäjö9y10x11ß12q",
    "fr": "3e4arinstlou5dcmpé6hgvb7fqjy8xè9zà10êkçw11ôî12ëâï13ûùœÿæ",
    "es": "3ae4ornisl5ctdump6bgv7fhzjyóqá8íé9ñx10ú11kw13ü",
    "it": "3aieo4nrtlsc5dmupg6vbfz7h8q9àè10k11yòùwjé12ìx",
    "pt": "3aeo4rsin5dtmlucp6vgbh7fqãz8jçéáí9yxóê10úkõ11wâà12ô13ü",
    "sv": "3an4eitsrlo5kmudäh6vgpj7bföyåc10wx11qé12z",
    "da": "3en4rsatild5ogkmh6vfupbj7åøyc8æ10w11zx13éq",
    "is": "3r4anisetl5ugmdkðfo6hvóíbjá7þöyæpú8é9ýc10x11w12z13q",
    "pl": "3a4ieonzr5kstcwydmpluj6błg7hęążóś8fć9ń10ź11x12v13q",
    "cs": "3a4oenvirltk5sdmáup6hcíbjzšy7čěžýéř8fgú9ťůľ10ňxď11ôów12ä13ĺqŕ",
    "hu": "3a4etnsrli5koázmgéd6bvyhój7pcuföő8üí9úű11xw13q",
    "ro": "3aie4rntuocl5sdmp6ăbvgf7ţşzhî8â9jx11ykw13q",
    "hr": "3ai4oenr5jtlksvdmup6bzgčcšć7hž8f10đ11y12w13xq",
    "tr": "3ae4irnl5kdmsıutyoü6bzgşhç7ğvcöpfİ10j11â12w13xîq",
}
# For CJK, the charset whose lead octets up to a limit hold the common characters, and what each of those
# costs that the table does not list.
_COMMON: Final = {
    "ja": ("euc_jp", 0xCF, 14.4), "zh-cn": ("gb2312", 0xD7, 14.6),
    "zh-tw": ("big5", 0xC6, 14.2), "ko": ("euc_kr", 0xC8, 15.6),
}  # fmt: skip
_WESTERN: Final = "en de fr es it pt sv da is"
_CENTRAL: Final = "pl cs hu ro hr"
_LATIN: Final = frozenset(f"{_WESTERN} {_CENTRAL} tr".split())

# What each charset is read as, and how many bits that costs beforehand, for some are met less often.
_READINGS: Final = {
    "cp932": ("ja", 0.0), "euc_jp": ("ja", 0.5), "gb18030": ("zh-cn zh-tw", 0.0), "big5hkscs": ("zh-tw", 0.0),
    "cp949": ("ko", 0.0), "koi8_r": ("ru", 0.5), "cp1251": ("ru uk", 0.0), "koi8_u": ("uk", 2.0),
    "cp1252": (_WESTERN, 0.0), "iso8859_15": (_WESTERN, 1.0), "cp1250": (_CENTRAL, 1.0),
    "iso8859_2": (_CENTRAL, 1.5), "cp1254": ("tr", 0.5), "cp1253": ("el", 3.0), "iso8859_7": ("el", 3.5),
    "cp1255": ("he", 4.0), "cp1256": ("ar", 4.0), "cp874": ("th", 4.0), "utf_8": ("any", 8.0),
}  # fmt: skip
_SELDOM: Final = {"is": 5.0, "ro": 1.0, "hr": 0.5}
# Charsets that are weighed only where the message declares them; any other is read as any language.
_DECLARED: Final = {
    "iso8859_5": "ru uk", "cp866": "ru", "mac_cyrillic": "ru", "iso8859_8": "he", "iso8859_6": "ar",
    "mac_roman": _WESTERN, "cp850": _WESTERN, "cp437": _WESTERN, "cp852": _CENTRAL, "mac_latin2": _CENTRAL,
}  # fmt: skip

# Costs in bits that no list gives, set on generated texts: names and phrases made of the same lists.
_ASCII_LETTER, _OTHER_LETTER, _SYMBOL, _UNDECODABLE = 6.0, 14.0, 17.0, 30.0
_HALF_WIDTH, _RARE_CJK = 14.0, 22.0
_MARKS: Final = dict.fromkeys("“”‘’–—…€°«»„§№·¡¿ ´º", 7.0)
_CJK_MARKS: Final = dict.fromkeys(
    "、。・「」【】（）！？：；，．～〜“”‘’…《》－—　★☆◆■●○①②③④⑤⑥⑦⑧⑨⑩㈱№ⅠⅡⅢ", 8.0
)
# The patterns that a wrong charset makes: ASCII and other letters side by side where a language keeps
# them apart, runs of accented letters, symbols inside words, final forms of letters before others,
# capitals after small letters.
_SEAMS, _SEAM, _SEAM_CJK = re.compile("[A-Za-z](?=[^\x00-\x7f])|[^\x00-\x7f](?=[A-Za-z])").findall, 7.0, 6.0
_RUNS, _RUN = re.compile("(?<=[^\x00-\x7f])[^\x00-\x7f]").findall, 4.0
_INSIDES, _INSIDE = re.compile(r"(?<=[^\W\d_])[«»„“”°º´№€§¡¿…—](?=[^\W\d_])").findall, 8.0
_FINALS, _FINAL = re.compile(r"[ςךםןףץ]\w").findall, 8.0
_MIXED_CASE: Final = 8.0
_WORDS: Final = re.compile(r"[^\W\d_]+").findall

# What evidence is worth: a declaration (two less for each that is likelier), a locale, the body at most; what
# other mail of the source is in, and that another charset has the same language.
_PRIOR, _PRIOR_LANGUAGE = 9.0, 4.0
_DECLARATION, _LOCALE, _BODY, _BODY_LANGUAGE = 16.0, 6.0, 40.0, 15.0

_HIGH = re.compile(rb"[\x80-\xff]")
# Latin script has no such runs, and leaving it out here halves the time for all others.
_LONG_RUN = re.compile(rb"[\x80-\xff]{6}").search


_Reading = tuple[str, str]


def decode_8bit(
    raw: bytes,
    candidates: Sequence[str] = (),
    *,
    body: bytes = b"",
    locale: str | None = None,
    prior: str = "",
) -> tuple[str, str]:
    """Return the text of octets that name no charset, and the Python codec that it was read with.

    Valid UTF-8 is UTF-8 and ISO 2022 escapes are ISO-2022-JP, whatever else is known. `candidates` are
    charsets that are declared nearby, likeliest first; `body` is text of the same message as stored;
    `prior` is the codec that other mail of its source is in (`_prior.settle_charset`); `locale` is a
    language tag (``ja``, ``zh_TW``). What cannot be known comes back as ASCII with surrogates for the other
    octets and ``unknown-8bit`` (RFC 1428) for the codec. Never raises.
    """
    if raw.isascii():
        text = iso_2022_jp(raw) if b"\x1b" in raw else None
        if text is not None:
            return text, "iso2022_jp"
        for codec in map(codec_name, candidates):
            if codec in ("hz", "iso2022_kr") and (text := decode_strictly(raw, codec)) is not None:
                return text, codec
        return raw.decode("ascii"), "ascii"
    if (text := decode_strictly(raw, "utf_8")) is not None:
        return text, "utf_8"
    priors = _priors(tuple(candidates[:8]), locale, prior)
    from_body = _from_body(_sample(body), tuple(priors))
    before = {reading: bits + from_body.get(reading, 0.0) for reading, bits in priors.items()}
    weights = _weigh(raw[:1000], before, 0.0)
    codec, language = min(weights, key=weights.__getitem__)
    text = raw.decode(codec, errors_for(codec))
    strange = [_costs(language)[char] for char in text[:1000] if not char.isascii()]
    poor = 2 * sum(bits >= _SYMBOL for bits in strange) > len(strange)
    left_over = len(no_text(text))
    if (poor or left_over) and (guess := _ask_chardet(raw)) is not None:
        return guess
    if not poor and 8 * left_over <= len(_HIGH.findall(raw)):
        return text, codec
    return raw.decode("ascii", "surrogateescape"), "unknown-8bit"


@lru_cache(maxsize=32)
def _priors(candidates: tuple[str, ...], locale: str | None, prior: str = "") -> dict[_Reading, float]:
    """Return what each reading costs before the octets are looked at."""
    priors = {
        (codec, language): bits + _SELDOM.get(language, 0.0)
        for codec, (languages, bits) in _READINGS.items()
        for language in languages.split()
    }
    for rank, codec in enumerate(map(codec_name, candidates)):
        if codec is not None and codec != "ascii" and keeps_ascii(codec):
            for language in _languages(codec):
                priors[codec, language] = min(2.0 * rank - _DECLARATION, priors.get((codec, language), 0.0))
    spoken = _languages(prior) if prior else []
    for language in spoken if prior and keeps_ascii(prior) else ():
        priors.setdefault((prior, language), 0.0)
    for codec, language in priors:
        if language in spoken:
            priors[codec, language] -= _PRIOR if codec == prior else _PRIOR_LANGUAGE
    tag = (locale or "").lower().replace("_", "-")
    for reading in priors:
        if tag and (tag.startswith(reading[1]) or reading[1].startswith(tag.partition("-")[0])):
            priors[reading] -= _LOCALE
    return priors


def _languages(codec: str) -> list[str]:
    """The languages that text in a charset is read as."""
    if codec.startswith("iso2022_jp"):
        return ["ja"]
    return (_READINGS[codec][0] if codec in _READINGS else _DECLARED.get(codec, "any")).split()


def _weigh(octets: bytes, before: dict[_Reading, float], margin: float) -> dict[_Reading, float]:
    """Return what the cheapest reading costs, and those that cost up to `margin` more.

    The characters alone are a lower bound of the cost, so most readings need no second look.
    """
    possible: list[tuple[float, _Reading, str]] = []
    with_latin = not _LONG_RUN(octets)
    for (codec, language), bits in before.items():
        if with_latin or language not in _LATIN:
            try:
                text = octets.decode(codec, errors_for(codec))
            except UnicodeError:
                continue
            possible.append((bits + sum(map(_costs(language).__getitem__, text)), (codec, language), text))
    weights: dict[_Reading, float] = {}
    limit = float("inf")
    for bound, reading, text in sorted(possible, key=itemgetter(0)):
        if bound > limit:
            break
        weights[reading] = bound + _patterns(text, reading[1])
        limit = min(limit, weights[reading] + margin)
    return weights


def _sample(body: bytes) -> bytes:
    """Return a few lines of a body that hold something other than ASCII, or nothing."""
    found = _HIGH.search(body)
    start = found.start() if found else body.find(b"\x1b$")
    if start < 0:
        return b""
    return body[max(start - 100, body.rfind(b"\n", 0, start) + 1) : start + 400]


@lru_cache(maxsize=8)
def _from_body(sample: bytes, readings: tuple[_Reading, ...]) -> dict[_Reading, float]:
    """Return what the body holds against each reading; its language alone where its charset is named."""
    if not sample:
        return {}
    try:
        # Not final: the sample may end in mid-character.
        text = iso_2022_jp(sample) or codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        limit, weights = _BODY, _weigh(sample, dict.fromkeys(readings, 0.0), _BODY)
    else:
        limit = _BODY_LANGUAGE
        spoken = {language for _, language in readings} - {"any"}
        costs = {one: sum(map(_costs(one).__getitem__, text)) + _patterns(text, one) for one in spoken}
        weights = {reading: costs.get(reading[1], min(costs.values())) for reading in readings}
    least = min(weights.values())
    return {reading: min(weights.get(reading, least + limit) - least, limit) for reading in readings}


def _patterns(text: str, language: str) -> float:
    """Return what `text` costs in a language over its characters: their case, and what stands together."""
    if language in _COMMON:
        return _SEAM_CJK * len(_SEAMS(text))
    bits = 0.0
    words = _WORDS(text)
    capitals = False
    for word in words:
        if word.islower():
            bits += 2.0 * capitals
        elif word.isupper():
            bits += 0.0 if capitals else 4.0 if len(word) > 1 else 1.0
            capitals = capitals or len(word) > 1
        elif word[1:].islower():
            bits += 1.0
        elif word.lower() != word:
            rises = sum([left.islower() and right.isupper() for left, right in pairwise(word)])
            bits += _MIXED_CASE * (rises or 0.5)
    if words and words[0].islower():
        bits += 1.5
    bits += _INSIDE * len(_INSIDES(text))
    if language in _LATIN:
        return bits + _RUN * len(_RUNS(text))
    return bits + _SEAM * len(_SEAMS(text)) + _FINAL * len(_FINALS(text))


class _Costs(dict[str, float]):
    """What each character costs in a language; what no table lists is judged by its kind, once."""

    def __init__(self, language: str) -> None:
        super().__init__(_CJK_MARKS if language in _COMMON else _MARKS)
        self._language = language
        for octet in range(128):
            self[chr(octet)] = _ASCII_LETTER if chr(octet).isalpha() else 0.0
        for bits, chars in re.findall(r"(\d+)(\D+)", _TABLES.get(language, "")):
            for char in chars:
                self[char] = self[char.upper()] = float(bits)

    def __missing__(self, char: str) -> float:
        bits = self._judge(char)
        if len(self) < 5000:
            self[char] = bits
        return bits

    def _judge(self, char: str) -> float:
        if no_text(char):
            return _UNDECODABLE
        if self._language == "any":
            return _ASCII_LETTER
        if self._language not in _COMMON:
            return _OTHER_LETTER if char.isalpha() else _SYMBOL
        if "\uff61" <= char <= "\uff9f":
            return _HALF_WIDTH
        charset, last, bits = _COMMON[self._language]
        octets = char.encode(charset, "replace")
        return bits if len(octets) == 2 and char.isalpha() and octets[0] <= last else _RARE_CJK


_costs = lru_cache(maxsize=None)(_Costs)


def _ask_chardet(raw: bytes) -> tuple[str, str] | None:
    """Return chardet's reading if it leaves nothing over and most of it is letters."""
    import chardet  # here, for most mail never needs it

    codec = codec_name(chardet.detect(raw[:4096], compat_names=False)["encoding"] or "")
    text = decode_strictly(raw, codec) if codec else None
    if codec is None or text is None or no_text(text) or not keeps_ascii(codec):
        return None
    strange = [char.isalpha() for char in text if not char.isascii()]
    return (text, codec) if 2 * sum(strange) > len(strange) else None
