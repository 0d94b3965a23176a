"""Names of people in Chinese, Japanese, Korean and Thai: rules, for these scripts have neither capitals nor, mostly, spaces.

A name is told by a family name of a list (the commonest of each language) together with what announces it (``姓名：``, ``私は``,
``환자명``) or addresses it (``先生``, ``さん``, ``씨``); in Thai by the title before it. A family name alone is mostly a word, so it
gives nothing. The lists are of our own and hold what most people are called, not all of them.
"""

import re
from collections.abc import Iterator

_CHINESE_ONE = (
    "王李张張刘劉陈陳杨楊黄黃赵趙吴吳周徐孙孫马馬朱胡郭何林罗羅高郑鄭梁谢謝宋唐许許韩韓邓鄧冯馮曹彭曾肖蕭田董袁潘于蒋蔣蔡余杜叶葉程苏蘇魏吕呂丁任沈姚卢盧姜崔钟鍾谭譚"
    "陆陸汪范金石廖贾賈夏韦韋付方白邹鄒孟熊秦邱江尹薛闫阎段雷侯龙龍史陶黎贺賀顾顧毛郝龚龔邵万萬钱錢严嚴覃武戴莫孔向汤湯温康施洪"
)
_CHINESE = rf"(?:欧阳|歐陽|司马|司馬|上官|诸葛|諸葛|[{_CHINESE_ONE}])[\u4e00-\u9fff]"
_JAPANESE = (
    "佐藤|鈴木|高橋|田中|伊藤|渡辺|渡邊|渡部|山本|中村|小林|加藤|吉田|山田|佐々木|山口|松本|井上|木村|林|斎藤|斉藤|清水|山崎|森|池田|橋本|阿部|石川|山下|中島|石井|小川|前田|岡田|"
    "長谷川|藤田|後藤|近藤|村上|遠藤|青木|坂本|福田|太田|西村|藤井|金子|岡本|藤原|三浦|中野|中川|原田|松田|竹内|小野|田村|中山|和田|石田|森田|上田|原|内田|柴田|酒井|宮崎|横山|高木|"
    "安藤|宮本|大野|小島|谷口|今井|工藤|高田|増田|丸山|杉山|村田|大塚|新井|小山|平野|藤本|河野|上野|野口|武田|松井|千葉|岩崎|菅原|木下|久保|佐野|野村|松尾|市川|菊地|菊池|杉本|古川|"
    "大西|島田|水野|桜井|高野|渋谷|吉川|山内|西田|飯田|西川|小松|北村|安田|五十嵐|川口|平田|関|中田|久保田|服部|東|岩田|土屋|川崎|福島|本田|辻|樋口|秋山|田口|永井|中西|川上|吉村|"
    "矢野|松原|浅野|大久保|石原|星野|松岡|荒木|大島|望月|馬場|広瀬|内藤|川村|浜田|大橋|黒田|栗原|早川|松村|熊谷|須藤"
)
_KOREAN = "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민진지엄채원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국어은편용"
_KOREAN_NAME = rf"[{_KOREAN}][가-힣]{{2}}"

_ZH_TITLE = "先生|女士|小姐|太太|医生|醫生|医师|大夫|护士|教授|老师|老師|经理|經理|主任|总监|律师|律師|同学|同志|院长|院長|校长|部长|局长|董事长|师傅"
_ZH_BEFORE = "姓名|名字是|名字叫|我叫|我是|叫做|患者|病人|客户|客戶|联系人|聯絡人|收件人|收货人|负责人|申请人|申請人|持卡人|户名|戶名|员工|學生|学生|同事|签名|医生|醫師"
_JA_TITLE = "さん|様|さま|氏|君|くん|ちゃん|先生|殿|部長|課長|社長|教授|医師|看護師|選手"
_JA_BEFORE = "氏名|名前|お名前|患者名|患者|担当者|担当|宛名|お客様|名義|代表|申込者|署名|私は|僕は"
_KO_TITLE = "씨|님|선생님|선생|교수|대표|과장|부장|팀장|의사|간호사|환자|고객|기자|변호사|박사|사장|학생"
_KO_BEFORE = (
    "이름은|이름|성명|성함은|성함|환자명|환자|고객명|고객|담당자|수취인|예금주|저는|나는|신청인|보호자|대표자"
)
_GAP = r"[ \t　]?[:：は은는이가]?[ \t　]?"

_NAMES = re.compile(
    rf"(?P<zt>{_CHINESE}[\u4e00-\u9fff]?)(?=(?:{_ZH_TITLE}))"
    rf"|(?:{_ZH_BEFORE})[ \t　]?(?:[:：为是為]|)[ \t　]?(?P<zb>{_CHINESE}[\u4e00-\u9fff]?)(?![\u4e00-\u9fff])"
    rf"|(?P<jt>(?:{_JAPANESE})(?:[ 　]?[\u4e00-\u9fff\u3041-\u309f\u30a1-\u30ff]{{1,4}}?)?)(?=[ 　]?(?:{_JA_TITLE}))"
    rf"|(?:{_JA_BEFORE}){_GAP}(?P<jb>(?:{_JAPANESE})(?:[ 　][\u4e00-\u9fff\u3041-\u309f\u30a1-\u30ff]{{1,4}}|[\u4e00-\u9fff]{{1,3}})?)"
    rf"|(?P<jf>(?:{_JAPANESE})[ 　][\u4e00-\u9fff]{{1,3}})(?![\u4e00-\u9fff])"
    rf"|(?<![가-힣])(?P<kt>{_KOREAN_NAME})(?=[ ]?(?:{_KO_TITLE})(?:[은는이가을를의에께와과도]|[^가-힣]|\Z))"
    rf"|(?:{_KO_BEFORE})[ ]?[:：]?[ ]?(?P<kb>{_KOREAN_NAME})(?=입니다|이고|이며|이라고|은|는|이|가|을|를|의|에게|[^가-힣]|\Z)"
    r"|(?:นางสาว|นาย|นาง|น\.ส\.|ด\.ช\.|ด\.ญ\.|เด็กชาย|เด็กหญิง|คุณ|ดร\.|นพ\.|พญ\.|ผู้ป่วยชื่อ|ชื่อ[ ]?[:：]|ผมชื่อ|ดิฉันชื่อ|ฉันชื่อ)[ ]?"
    r"(?P<th>[\u0e01-\u0e4e]{2,20} [\u0e01-\u0e4e]{2,24})(?![\u0e01-\u0e4e])"
)
_ANY = re.compile("[\u0e01-\u0e4e\u4e00-\u9fff가-힣]")
_NO_NAME = re.compile(
    r"王国|王朝|高度|高等|方面|方法|石油|金融|金属|马上|周围|江苏|江西|温度|向导|任何|成为|何时|任务|于是|余额|程序|许多|万一|白色|夏天|马路|孔子|老子|이것|이번|이상|전체|정보|조직|서비스|문제|우리|이후|전문|고객|의료|주의|한국"
)

PATTERNS = (_NAMES.pattern, _NO_NAME.pattern)


def names(text: str) -> Iterator[tuple[int, int]]:
    """Yield where a person is named in one of the four scripts."""
    if text.isascii() or not _ANY.search(text):
        return
    for match in _NAMES.finditer(text):
        group = match.lastgroup
        if group and not _NO_NAME.match(match[group]):
            yield match.span(group)
