"""Identity, tax and health numbers of many countries, and the identifiers of things: each with its check.

A number whose form is its own (letters, fixed separators, a strong check) is found wherever it stands. One that is only
digits needs the word that announces it. ``samples`` are made up: they pass the checks and belong, as far as anybody can
know, to nobody.
"""

from collections.abc import Callable

from magistrate.classify import checksums as check
from magistrate.classify import validators as valid
from magistrate.classify.identifiers import END, announced
from magistrate.classify.rule import Rule

_ALONE = r"(?<![A-Za-z0-9_])(?<![0-9][-./])"
_TAX = r"tax(?:payer)?[ _-]?(?:id|number|no|identification(?: number)?|file number)|\btin"


def _free(
    name: str,
    label: str,
    trigger: str,
    pattern: str,
    test: Callable[[str], bool] | None,
    samples: tuple[str, str, str],
    bad: tuple[str, ...] = (),
    priority: int = 36,
    *,
    apart: bool = False,
) -> Rule:
    """Return the rule for a value that is known by its form.

    A ``trigger`` that begins with a digit is cheapest: most characters of most texts are letters. It is read in any case unless
    it says ``(?-i: )``, and ends where a word does if it can: else every identifier, digest and UUID would wake the rule.
    """
    return Rule(
        name,
        label,
        trigger,
        rf"{_ALONE}{pattern}{END}",
        test,
        priority=priority,
        reach=64,
        ahead=96,
        apart=apart,
        good=(f"«{samples[0]}»", f"on file: «{samples[1]}», checked", f'"value": "«{samples[2]}»"'),
        bad=(*bad, f"X{samples[0]}", f"{samples[1]}0"),
    )


def _told(
    name: str,
    label: str,
    words: str,
    pattern: str,
    test: Callable[[str], bool] | None,
    samples: tuple[str, str, str],
    say: str,
    bad: tuple[str, ...] = (),
    priority: int = 34,
) -> Rule:
    """Return the rule for a value that a word announces; ``say`` is such a word, for the examples."""
    return Rule(
        name,
        label,
        rf"(?:{words})[^0-9\n\x00]{{0,40}}[0-9]",
        announced(words) + rf"(?P<v>{pattern}){END}",
        test,
        priority=priority,
        reach=96,
        ahead=144,
        score_milli=930,
        good=(f"{say}: «{samples[0]}»", f"my {say} is «{samples[1]}».", f'"{say}": "«{samples[2]}»"'),
        bad=(*bad, samples[0], f"{say} pending, see page 3"),
    )


EUROPE: tuple[Rule, ...] = (
    _free("fr.nir", "pii.nir", r"[0-9]{2}[ .-]?[0-9]{2}[ .-]?(?:[0-9]{2}|2[AB])[ .-]?[0-9]{3}[ .-]?[0-9]{3}[ .-]?[0-9]{2}",
          r"[12][ .-]?[0-9]{2}[ .-]?(?:0[1-9]|1[0-2]|[2-9][0-9])[ .-]?(?:[0-9]{2}|2[AB])[ .-]?[0-9]{3}[ .-]?[0-9]{3}[ .-]?[0-9]{2}",
          check.nir, ("268116232347735", "170120794985383", "297114659124961")),
    _told("de.steuer_id", "pii.tax_id", rf"steuer[ -]?(?:id|identifikationsnummer|nummer)|\bidnr|{_TAX}", r"[0-9]{2}[ ]?[0-9]{3}[ ]?[0-9]{3}[ ]?[0-9]{3}",
          check.steuer_id, ("11316097540", "49103298959", "20196438659"), "Steuer-ID"),
    _free("es.dni", "pii.dni", r"(?-i:[0-9]{7}-?[A-HJ-NP-TV-Z]\b)", r"(?:[0-9]{8}|[XYZ]-?[0-9]{7})-?[A-HJ-NP-TV-Z]", check.dni, ("22316199N", "Z6546394R", "Y7127283B")),
    _free("it.codice_fiscale", "pii.tax_id", r"[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]\b",
          r"(?i:[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z])", check.codice_fiscale, ("VHNEBI93C04K087T", "OFKMUI68R04A802O", "ZBCUGA71L11J680Q")),
    _told("pt.nif", "pii.tax_id", rf"\bnif|contribuinte|{_TAX}", r"[0-9]{3}[ ]?[0-9]{3}[ ]?[0-9]{3}", check.nif_pt, ("333320921", "322275571", "331675420"), "NIF"),
    _told("nl.bsn", "pii.bsn", r"\bbsn|burgerservicenummer|sofi[ -]?nummer", r"[0-9]{9}|[0-9]{4}\.[0-9]{2}\.[0-9]{3}", check.bsn, ("906541001", "661103894", "163385324"), "BSN"),
    _free("be.rrn", "pii.national_id", r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}",
          check.rrn_be, ("30.10.06-500.20", "43.12.02-219.29", "89.03.13-353.12")),
    _told("pl.pesel", "pii.pesel", r"pesel", r"[0-9]{11}", check.pesel, ("81041155764", "67071155846", "87090104742"), "PESEL"),
    _free("se.personnummer", "pii.personnummer", r"[0-9]{6}[-+][0-9]{4}", r"(?:19|20)?[0-9]{6}[-+][0-9]{4}", check.personnummer, ("611017-3710", "490517-9661", "160828-7262")),
    _free("fi.hetu", "pii.hetu", r"(?-i:[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]\b)", r"[0-3][0-9][01][0-9]{3}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]", check.hetu, ("271279-476U", "090399X333H", "210430-1755")),
    _told("dk.cpr", "pii.cpr", r"\bcpr(?:-?(?:nummer|nr))?|personnummer", r"[0-3][0-9][01][0-9]{3}[- ]?[0-9]{4}", check.cpr, ("181090-9149", "230616-2493", "050315-3961"), "CPR-nr"),
    _free("no.fodselsnummer", "pii.fodselsnummer", r"\b[0-9]{6}[ ]?[0-9]{5}\b", r"[0-7][0-9][01][0-9]{3}[ ]?[0-9]{5}", check.fodselsnummer, ("11081632326", "25051802740", "03083291256")),
    _free("ch.ahv", "pii.ahv", r"756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}", r"756(\.?)[0-9]{4}\1[0-9]{4}\1[0-9]{2}", check.ahv, ("756.0405.9202.19", "756.5724.4749.17", "756.6278.1916.64")),
    _told("at.svnr", "pii.national_id", r"\bsvnr|sv-?nummer|sozialversicherungsnummer|versicherungsnummer", r"[0-9]{4}[ -]?[0-9]{6}", check.svnr, ("9342030892", "6802240214", "8067210930"), "SVNR"),
    _told("ie.pps", "pii.pps", r"\bppsn?(?: (?:number|no))?", r"[0-9]{7}[A-W][ABHW]?", check.pps, ("4069077J", "4370192O", "1691965L"), "PPS number"),
    _told("ro.cnp", "pii.national_id", r"\bcnp|cod numeric personal", r"[0-9]{13}", check.cnp, ("2140713074334", "2100706836220", "2131115890094"), "CNP"),
    _told("bg.egn", "pii.national_id", r"\begn|ЕГН", r"[0-9]{10}", check.egn, ("6207286337", "9811098384", "8907087988"), "EGN"),
    _free("cz.rodne_cislo", "pii.national_id", r"[0-9]{6}/[0-9]{4}", r"[0-9]{6}/[0-9]{4}", check.rodne_cislo, ("830502/6444", "840709/7138", "560227/7880")),
    _told("ee.isikukood", "pii.national_id", r"isikukood|asmens kodas|personal code", r"[0-9]{11}", check.isikukood, ("46503060131", "33906041080", "34105245303"), "isikukood"),
    _told("hr.oib", "pii.national_id", r"\boib", r"[0-9]{11}", check.oib, ("02258860210", "59546758758", "24159167745"), "OIB"),
    _told("gr.amka", "pii.national_id", r"\bamka|ΑΜΚΑ", r"[0-3][0-9][01][0-9]{8}", check.luhn_varied, ("06096286353", "10015433260", "23118220054"), "AMKA"),
    _free("ru.snils", "pii.national_id", r"[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}", r"[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}", check.snils, ("522-143-811 39", "592-892-510 47", "793-085-589 54")),
    _told("tr.tckn", "pii.national_id", r"\btckn|t\.?c\.? kimlik(?: no)?|kimlik no", r"[1-9][0-9]{10}", check.tckn, ("12298294108", "26687496806", "83995721914"), "TCKN"),
    _told("vat", "pii.tax_id", rf"\bvat(?: (?:id|number|no|reg(?:istration)?(?: no)?))?|ust-?id(?:nr)?|{_TAX}", r"(?:GB|DE|FR|ES|IT|NL|AT|BE|DK|FI|IE|PL|PT|SE|XI)[A-Z0-9]?[0-9]{7,11}[A-Z0-9]?",
          None, ("GB123456789", "DE136695976", "ATU13585627"), "VAT number"),
)  # fmt: skip

AMERICAS: tuple[Rule, ...] = (
    _told("us.ein", "pii.tax_id", rf"\bein|employer id(?:entification number)?|{_TAX}", r"[0-9]{2}-[0-9]{7}", None, ("12-3456789", "91-1144442", "45-0123987"), "EIN"),
    _told("us.aba", "fin.routing", r"\baba(?: (?:routing|number|no))?|routing(?: transit)?(?: number| no)?|\brtn", r"[0-9]{9}", check.aba, ("660410085", "226669377", "317527535"), "routing number"),
    _told("ca.sin", "pii.sin", r"\bsin|social insurance(?: number| no)?", r"[0-9]{3}([ -]?)[0-9]{3}\2[0-9]{3}", check.luhn_varied, ("221-609-712", "211-484-753", "215-669-052"), "SIN"),
    _free("br.cpf", "pii.cpf", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", check.cpf, ("527.002.576-00", "681.582.379-24", "567.313.030-97")),
    _told("br.cpf.plain", "pii.cpf", r"\bcpf", r"[0-9]{11}", check.cpf, ("10673400760", "26039418281", "44050547031"), "CPF"),
    _free("ar.cuit", "pii.tax_id", r"[23][0-9]-[0-9]{8}-[0-9]", r"[23][0-9]-[0-9]{8}-[0-9]", check.cuit, ("20-78433618-3", "27-81543847-2", "20-14582054-6")),
    _free("cl.rut", "pii.rut", r"[0-9]\.[0-9]{3}\.[0-9]{3}-[0-9K]", r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]", check.rut, ("22.229.054-6", "14.343.816-3", "23.226.806-9")),
    _free("mx.curp", "pii.curp", r"[0-9]{6}[HMX][A-Z]{5}[A-Z0-9][0-9]", r"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[A-Z0-9][0-9]", check.curp, ("FICE910508MECVXD21", "RLMJ560628MCUARY61", "KQYM500727HTBQOV16")),
)  # fmt: skip

ASIA_PACIFIC: tuple[Rule, ...] = (
    _free("in.aadhaar", "pii.aadhaar", r"[2-9][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}", r"[2-9][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}", check.verhoeff, ("8931 1470 6530", "5693 9269 3621", "2270 5077 8994")),
    _told("in.aadhaar.plain", "pii.aadhaar", r"aadha?ar(?: (?:card )?(?:number|no))?|\buid(?:ai)? (?:number|no)", r"[2-9][0-9]{11}", check.verhoeff, ("989119749739", "976596837350", "414797413922"), "Aadhaar"),
    _free("in.pan", "pii.tax_id", r"(?-i:[0-9]{4}[A-Z]\b)", r"[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]", None, ("ABCPK1234F", "QWEPS9876K", "ZXCFM4521Q")),
    _told("in.ifsc", "fin.routing", r"\bifsc(?: code)?", r"[A-Z]{4}0[A-Z0-9]{6}", None, ("SBIN0001234", "HDFC0000060", "ICIC0006789"), "IFSC code"),
    _free("cn.resident", "pii.national_id", r"[1-8][0-9]{5}(?:19|20)[0-9]{9}[0-9X]", r"[1-8][0-9]{5}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9][0-9]{3}[0-9Xx]", check.resident_cn, ("110105194110193079", "110105197403186685", "110105194812029767")),
    _free("kr.rrn", "pii.national_id", r"[0-9]{6}-[1-8][0-9]{6}", r"[0-9]{6}-[1-8][0-9]{6}", check.rrn_kr, ("620126-2181874", "280824-2029852", "630728-2214322")),
    _told("jp.my_number", "pii.national_id", r"my number|マイナンバー|個人番号", r"[0-9]{4}([ -]?)[0-9]{4}\2[0-9]{4}", check.my_number, ("698890516065", "216374531061", "033280506244"), "My Number"),
    _free("sg.nric", "pii.nric", r"(?-i:[0-9]{7}[A-Z]\b)", r"[STFGM][0-9]{7}[A-Z]", check.nric, ("F1998966Q", "S4411061Z", "S7368533H")),
    _free("hk.hkid", "pii.national_id", r"[A-Z][0-9]{6}\([0-9A]\)", r"[A-Z]{1,2}[0-9]{6}\([0-9A]\)", check.hkid, ("E119234(9)", "D560570(A)", "F997501(9)")),
    _free("tw.identity", "pii.national_id", r"(?-i:[A-Z][12][0-9]{8}\b)", r"[A-Z][12][0-9]{8}", check.identity_tw, ("B286185322", "W283379965", "O116003208")),
    _free("my.mykad", "pii.national_id", r"[0-9]{6}-[0-9]{2}-[0-9]{4}", r"[0-9]{6}-[0-9]{2}-[0-9]{4}", check.mykad, ("250609-07-7308", "260114-06-1799", "460301-03-6550")),
    _free("th.identity", "pii.national_id", r"[1-8]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]", r"[1-8]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]", check.identity_th, ("5-1706-40286-81-0", "5-0632-60303-86-4", "1-8550-63077-60-0")),
    _told("au.tfn", "pii.tfn", rf"\btfn|tax file (?:number|no)|{_TAX}", r"[0-9]{3}([ -]?)[0-9]{3}\2[0-9]{3}", check.tfn, ("658042782", "843314614", "822042937"), "TFN"),
    _told("au.medicare", "phi.medicare_au", r"medicare(?: card)?(?: number| no)?", r"[2-6][0-9]{3}[ ]?[0-9]{5}[ ]?[0-9]", check.medicare_au, ("6322351937", "4671095936", "6358407966"), "Medicare number"),
    _told("za.identity", "pii.national_id", r"(?:south african?|sa) id(?:entity)?(?: number| no)?|identity (?:number|no)|\bid (?:number|no)", r"[0-9]{13}", check.identity_za, ("6412063613088", "8512266704085", "6509262861085"), "ID number"),
    _told("il.identity", "pii.national_id", r"teudat zehut|israeli? id(?: number| no)?|ת\.?ז\.?", r"[0-9]{9}", check.luhn_varied, ("994338994", "604437368", "802014241"), "Teudat Zehut"),
)  # fmt: skip

THINGS: tuple[Rule, ...] = (
    _free("vin", "pii.vin", r"(?-i:[0-9X][A-HJ-NPR-Z0-9]{4}[0-9]{4}\b)", r"(?=[0-9]*[A-Z])[A-HJ-NPR-Z0-9]{8}[0-9X][A-HJ-NPR-Z0-9]{4}[0-9]{4}", check.vin, ("1DPNVC2S6DV501268", "1ZF5U8TE4KS526261", "1RJA4F3N6HP770885"), apart=True),
    _told("plate", "pii.plate", r"licen[cs]e plate(?: number| no)?|number plate|plate (?:number|no)|vehicle registration(?: number| no)?|\bvrn", r"(?<![a-zA-Z])(?-i:[A-Z0-9]{1,4}(?:[ -]?[A-Z0-9]{1,4}){1,2})", check.numbered, ("7ABC123", "M-XY 1234", "AB12 CDE"), "license plate"),
    _told("imei", "pii.device", r"\bimei(?: number| no)?", r"[0-9]{15}|[0-9]{2}-[0-9]{6}-[0-9]{6}-[0-9]", check.luhn_varied, ("354726218094227", "354002609817117", "359573765887453"), "IMEI"),
    _free("mac", "pii.device", r"[0-9A-F]{2}[:-][0-9A-F]{2}[:-][0-9A-F]{2}[:-]", r"(?i:[0-9A-F]{2}([:-])(?:[0-9A-F]{2}\1){4}[0-9A-F]{2})(?![:-])", valid.mac, ("00:1B:44:11:3A:B7", "3c-22-fb-9a-10-4e", "A4:83:E7:5B:0C:91"), priority=6),
    _free("ipv6", "pii.ip", r"[0-9A-F]{1,4}:[0-9A-F]{0,4}:[0-9A-F]{0,4}:", r"(?<![:.])(?i:[0-9A-F]{1,4}(?::[0-9A-F]{0,4}){3,7})(?![:.])", valid.public_ipv6,
          ("2a00:1450:4009:81f::200e", "2606:4700:3034:0:0:6815:1a2b:3c4d", "2a02:26f0:9d00:a8::11a6"), priority=4),
    _free("bitcoin", "fin.crypto", r"(?:bc1[A-Za-z0-9]{25}|[13][1-9A-HJ-NP-Za-km-z]{25,34}\b)", r"(?:bc1[a-z0-9]{11,71}|BC1[A-Z0-9]{11,71}|[13][1-9A-HJ-NP-Za-km-z]{25,34})", check.bitcoin,
          ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"), priority=50),
    _free("ethereum", "fin.crypto", r"0x[0-9a-f]{40}", r"0x[0-9a-fA-F]{40}", valid.not_placeholder,
          ("0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"), priority=50),
    _told("health_plan", "phi.health_plan", r"(?:member|subscriber|beneficiary|health plan|insurance|policy(?:holder)?)[ _-]?(?:id|number|no|code|policy)|insurance policy",
          r"(?=[A-Z-]{0,8}[0-9])(?-i:[A-Z0-9]{1,12}(?:-[A-Z0-9]{1,10}){0,3})", valid.long_enough, ("XYZ123456789", "88291-LKA", "W2098-44120"), "member ID"),
    _told("device_serial", "phi.device", r"(?:device|implant|pacemaker|pump|serial)[ _-]?(?:serial)?[ _-]?(?:number|no|id)", r"(?=[A-Z-]{0,8}[0-9])(?-i:[A-Z0-9]{2,12}(?:-[A-Z0-9]{1,10}){0,3})", valid.long_enough,
          ("SN-4471920", "PMK20931877", "A7-330-91188"), "serial number"),
    _told("account", "fin.account", r"(?:bank |checking |savings |current |deposit )?(?:account|acct|a/c)[ _.-]{0,2}(?:number|no|num|#)|bank account(?: number| no)?|sort code and account", r"[A-Z]{0,6}[0-9](?:[ -]?[0-9]){5,17}", valid.long_enough,
          ("76983425", "3847283911", "12-345678-09"), "account number"),
    _told("sort_code", "fin.routing", r"sort code", r"[0-9]{2}-[0-9]{2}-[0-9]{2}", None, ("20-00-00", "40-47-84", "09-01-28"), "sort code"),
    _told("bic", "fin.routing", r"\b(?:bic|swift)(?:[ /-]?(?:code|bic))?", r"(?=[A-Z]{6}[A-Z0-9]{0,4}[0-9])(?-i:[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?)", None, ("DEUTDEFF500", "NWBKGB2L", "BNPAFRPP123"), "BIC"),
    _told("icd10", "phi.diagnosis_code", r"\bicd[ -]?10(?:-?cm)?(?: code)?", r"[A-TV-Z][0-9][0-9AB](?:\.[0-9A-Z]{1,4})?", None, ("E11.9", "J45.909", "F32"), "ICD-10"),
)  # fmt: skip

NATIONAL = EUROPE + AMERICAS + ASIA_PACIFIC + THINGS
