"""Countries by the names that lists use for them (English, Romanian, a few native), their time zone
where all of the country has one, and the mail language that follows. Data, and two look-ups.
"""

from __future__ import annotations

from functools import lru_cache

from audience.folding import fold
from pigeonry.domain import Language

_ENGLISH = frozenset({"GB", "US", "IE", "AU", "NZ", "CA", "ZA", "SG", "MT", "JM", "BS", "BB", "TT"})
_ROMANIAN = frozenset({"RO", "MD"})
_CODES_3 = {
    "ROU": "RO",
    "MDA": "MD",
    "GBR": "GB",
    "USA": "US",
    "DEU": "DE",
    "FRA": "FR",
    "ITA": "IT",
    "ESP": "ES",
    "HUN": "HU",
    "AUT": "AT",
    "NLD": "NL",
    "BEL": "BE",
    "POL": "PL",
    "BGR": "BG",
}


@lru_cache(4096)
def country_code(text: str) -> str:
    """ISO 3166 alpha-2 of a country as somebody wrote it; "" where nobody can tell."""
    return _names().get(fold(text), "")


def country_zone(code: str) -> str:
    """The IANA zone of a country that has one for everybody (or nearly), else ""."""
    return _zones().get(code, "")


def country_language(code: str) -> Language | None:
    """The language to write in where the lead stated none."""
    if code in _ROMANIAN:
        return Language.RO
    return Language.EN if code in _ENGLISH else None


@lru_cache(1)
def _names() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _TABLE.strip().splitlines():
        code, _, names = line.split("|")
        found[fold(code)] = code
        for name in names.split(","):
            found.setdefault(fold(name), code)
    found.update((fold(long), short) for long, short in _CODES_3.items())
    return found


@lru_cache(1)
def _zones() -> dict[str, str]:
    return {line[:2]: line.split("|")[1] for line in _TABLE.strip().splitlines()}


# Codes and zones: tzdata's iso3166.tab and zone.tab (public domain). code|zone|names
_TABLE = """
AD|Europe/Andorra|Andorra
AE|Asia/Dubai|United Arab Emirates,Emiratele Arabe Unite,UAE,U.A.E.
AF|Asia/Kabul|Afghanistan,Afganistan
AG|America/Antigua|Antigua & Barbuda,Antigua and Barbuda
AI|America/Anguilla|Anguilla
AL|Europe/Tirane|Albania
AM|Asia/Yerevan|Armenia
AO|Africa/Luanda|Angola
AQ||Antarctica
AR||Argentina
AS|Pacific/Pago_Pago|Samoa (American)
AT|Europe/Vienna|Austria,Österreich
AU||Australia
AW|America/Aruba|Aruba
AX|Europe/Mariehamn|Åland Islands
AZ|Asia/Baku|Azerbaijan,Azerbaidjan
BA|Europe/Sarajevo|Bosnia & Herzegovina,Bosnia and Herzegovina,Bosnia și Herțegovina,Bosnia
BB|America/Barbados|Barbados
BD|Asia/Dhaka|Bangladesh
BE|Europe/Brussels|Belgium,Belgia,België,Belgique
BF|Africa/Ouagadougou|Burkina Faso
BG|Europe/Sofia|Bulgaria
BH|Asia/Bahrain|Bahrain
BI|Africa/Bujumbura|Burundi
BJ|Africa/Porto-Novo|Benin
BL|America/St_Barthelemy|St Barthelemy
BM|Atlantic/Bermuda|Bermuda
BN|Asia/Brunei|Brunei
BO|America/La_Paz|Bolivia
BQ|America/Kralendijk|Caribbean NL
BR||Brazil,Brazilia
BS|America/Nassau|Bahamas
BT|Asia/Thimphu|Bhutan
BV||Bouvet Island
BW|Africa/Gaborone|Botswana
BY|Europe/Minsk|Belarus
BZ|America/Belize|Belize
CA||Canada
CC|Indian/Cocos|Cocos (Keeling) Islands,Cocos
CD||Congo (Dem. Rep.)
CF|Africa/Bangui|Central African Rep.
CG|Africa/Brazzaville|Congo (Rep.),Congo
CH|Europe/Zurich|Switzerland,Elveția,Schweiz,Suisse
CI|Africa/Abidjan|Côte d'Ivoire,Coasta de Fildeș,Ivory Coast
CK|Pacific/Rarotonga|Cook Islands
CL||Chile
CM|Africa/Douala|Cameroon,Camerun
CN|Asia/Shanghai|China,People's Republic of China
CO|America/Bogota|Colombia,Columbia
CR|America/Costa_Rica|Costa Rica
CU|America/Havana|Cuba
CV|Atlantic/Cape_Verde|Cape Verde
CW|America/Curacao|Curaçao
CX|Indian/Christmas|Christmas Island
CY|Asia/Nicosia|Cyprus,Cipru
CZ|Europe/Prague|Czech Republic,Cehia,Czechia,Republica Cehă
DE|Europe/Berlin|Germany,Germania,Deutschland,DEU
DJ|Africa/Djibouti|Djibouti
DK|Europe/Copenhagen|Denmark,Danemarca
DM|America/Dominica|Dominica
DO|America/Santo_Domingo|Dominican Republic
DZ|Africa/Algiers|Algeria
EC||Ecuador
EE|Europe/Tallinn|Estonia
EG|Africa/Cairo|Egypt,Egipt
EH|Africa/El_Aaiun|Western Sahara
ER|Africa/Asmara|Eritrea
ES|Europe/Madrid|Spain,Spania,España,ESP
ET|Africa/Addis_Ababa|Ethiopia,Etiopia
FI|Europe/Helsinki|Finland,Finlanda
FJ|Pacific/Fiji|Fiji
FK|Atlantic/Stanley|Falkland Islands
FM||Micronesia
FO|Atlantic/Faroe|Faroe Islands
FR|Europe/Paris|France,Franța,FRA
GA|Africa/Libreville|Gabon
GB|Europe/London|Britain (UK),Britain,Marea Britanie,UK,United Kingdom,Great Britain,England,Scotland,Wales,Northern Ireland,Anglia,Regatul Unit,GBR
GD|America/Grenada|Grenada
GE|Asia/Tbilisi|Georgia
GF|America/Cayenne|French Guiana
GG|Europe/Guernsey|Guernsey
GH|Africa/Accra|Ghana
GI|Europe/Gibraltar|Gibraltar
GL||Greenland
GM|Africa/Banjul|Gambia,The Gambia
GN|Africa/Conakry|Guinea
GP|America/Guadeloupe|Guadeloupe
GQ|Africa/Malabo|Equatorial Guinea
GR|Europe/Athens|Greece,Grecia
GS|Atlantic/South_Georgia|South Georgia & the South Sandwich Islands,South Georgia and the South Sandwich Islands
GT|America/Guatemala|Guatemala
GU|Pacific/Guam|Guam
GW|Africa/Bissau|Guinea-Bissau
GY|America/Guyana|Guyana
HK|Asia/Hong_Kong|Hong Kong,Hong Kong SAR
HM||Heard Island & McDonald Islands,Heard Island and McDonald Islands
HN|America/Tegucigalpa|Honduras
HR|Europe/Zagreb|Croatia,Croația
HT|America/Port-au-Prince|Haiti
HU|Europe/Budapest|Hungary,Ungaria,Magyarország
ID||Indonesia,Indonezia
IE|Europe/Dublin|Ireland,Irlanda,Republic of Ireland
IL|Asia/Jerusalem|Israel
IM|Europe/Isle_of_Man|Isle of Man
IN|Asia/Kolkata|India
IO|Indian/Chagos|British Indian Ocean Territory
IQ|Asia/Baghdad|Iraq,Irak
IR|Asia/Tehran|Iran
IS|Atlantic/Reykjavik|Iceland,Islanda
IT|Europe/Rome|Italy,Italia,ITA
JE|Europe/Jersey|Jersey
JM|America/Jamaica|Jamaica
JO|Asia/Amman|Jordan,Iordania
JP|Asia/Tokyo|Japan,Japonia
KE|Africa/Nairobi|Kenya
KG|Asia/Bishkek|Kyrgyzstan
KH|Asia/Phnom_Penh|Cambodia,Cambodgia
KI||Kiribati
KM|Indian/Comoro|Comoros
KN|America/St_Kitts|St Kitts & Nevis,St Kitts and Nevis
KP|Asia/Pyongyang|Korea (North),Coreea de Nord
KR|Asia/Seoul|Korea (South),Coreea de Sud,Republic of Korea,Korea
KW|Asia/Kuwait|Kuwait,Kuweit
KY|America/Cayman|Cayman Islands
KZ||Kazakhstan,Kazahstan
LA|Asia/Vientiane|Laos
LB|Asia/Beirut|Lebanon,Liban
LC|America/St_Lucia|St Lucia
LI|Europe/Vaduz|Liechtenstein
LK|Asia/Colombo|Sri Lanka
LR|Africa/Monrovia|Liberia
LS|Africa/Maseru|Lesotho
LT|Europe/Vilnius|Lithuania,Lituania
LU|Europe/Luxembourg|Luxembourg,Luxemburg
LV|Europe/Riga|Latvia,Letonia
LY|Africa/Tripoli|Libya,Libia
MA|Africa/Casablanca|Morocco,Maroc
MC|Europe/Monaco|Monaco
MD|Europe/Chisinau|Moldova,Republica Moldova,MDA,Republic of Moldova
ME|Europe/Podgorica|Montenegro,Muntenegru
MF|America/Marigot|St Martin (French)
MG|Indian/Antananarivo|Madagascar
MH||Marshall Islands
MK|Europe/Skopje|North Macedonia,Macedonia de Nord,Macedonia
ML|Africa/Bamako|Mali
MM|Asia/Yangon|Myanmar (Burma),Myanmar,Burma
MN||Mongolia
MO|Asia/Macau|Macau
MP|Pacific/Saipan|Northern Mariana Islands
MQ|America/Martinique|Martinique
MR|Africa/Nouakchott|Mauritania
MS|America/Montserrat|Montserrat
MT|Europe/Malta|Malta
MU|Indian/Mauritius|Mauritius
MV|Indian/Maldives|Maldives
MW|Africa/Blantyre|Malawi
MX||Mexico,Mexic
MY|Asia/Kuala_Lumpur|Malaysia,Malaezia
MZ|Africa/Maputo|Mozambique
NA|Africa/Windhoek|Namibia
NC|Pacific/Noumea|New Caledonia
NE|Africa/Niamey|Niger
NF|Pacific/Norfolk|Norfolk Island
NG|Africa/Lagos|Nigeria
NI|America/Managua|Nicaragua
NL|Europe/Amsterdam|Netherlands,Olanda,Holland,The Netherlands,Țările de Jos
NO|Europe/Oslo|Norway,Norvegia
NP|Asia/Kathmandu|Nepal
NR|Pacific/Nauru|Nauru
NU|Pacific/Niue|Niue
NZ|Pacific/Auckland|New Zealand,Noua Zeelandă
OM|Asia/Muscat|Oman
PA|America/Panama|Panama
PE|America/Lima|Peru
PF||French Polynesia
PG||Papua New Guinea
PH|Asia/Manila|Philippines,Filipine
PK|Asia/Karachi|Pakistan
PL|Europe/Warsaw|Poland,Polonia,Polska
PM|America/Miquelon|St Pierre & Miquelon,St Pierre and Miquelon
PN|Pacific/Pitcairn|Pitcairn
PR|America/Puerto_Rico|Puerto Rico
PS|Asia/Hebron|Palestine
PT|Europe/Lisbon|Portugal,Portugalia
PW|Pacific/Palau|Palau
PY|America/Asuncion|Paraguay
QA|Asia/Qatar|Qatar
RE|Indian/Reunion|Réunion
RO|Europe/Bucharest|Romania,România,Rumania,Roumanie,Rumänien,ROU
RS|Europe/Belgrade|Serbia
RU||Russia,Rusia,Russian Federation
RW|Africa/Kigali|Rwanda
SA|Asia/Riyadh|Saudi Arabia,Arabia Saudită
SB|Pacific/Guadalcanal|Solomon Islands
SC|Indian/Mahe|Seychelles
SD|Africa/Khartoum|Sudan
SE|Europe/Stockholm|Sweden,Suedia
SG|Asia/Singapore|Singapore
SH|Atlantic/St_Helena|St Helena
SI|Europe/Ljubljana|Slovenia
SJ|Arctic/Longyearbyen|Svalbard & Jan Mayen,Svalbard and Jan Mayen
SK|Europe/Bratislava|Slovakia,Slovacia
SL|Africa/Freetown|Sierra Leone
SM|Europe/San_Marino|San Marino
SN|Africa/Dakar|Senegal
SO|Africa/Mogadishu|Somalia
SR|America/Paramaribo|Suriname
SS|Africa/Juba|South Sudan
ST|Africa/Sao_Tome|Sao Tome & Principe,Sao Tome and Principe
SV|America/El_Salvador|El Salvador
SX|America/Lower_Princes|St Maarten (Dutch)
SY|Asia/Damascus|Syria,Siria
SZ|Africa/Mbabane|Eswatini (Swaziland),Eswatini
TC|America/Grand_Turk|Turks & Caicos Is,Turks and Caicos Is
TD|Africa/Ndjamena|Chad
TF|Indian/Kerguelen|French S. Terr.
TG|Africa/Lome|Togo
TH|Asia/Bangkok|Thailand,Thailanda
TJ|Asia/Dushanbe|Tajikistan
TK|Pacific/Fakaofo|Tokelau
TL|Asia/Dili|East Timor
TM|Asia/Ashgabat|Turkmenistan
TN|Africa/Tunis|Tunisia
TO|Pacific/Tongatapu|Tonga
TR|Europe/Istanbul|Turkey,Turcia,Türkiye
TT|America/Port_of_Spain|Trinidad & Tobago,Trinidad and Tobago
TV|Pacific/Funafuti|Tuvalu
TW|Asia/Taipei|Taiwan
TZ|Africa/Dar_es_Salaam|Tanzania
UA|Europe/Kyiv|Ukraine,Ucraina,Україна
UG|Africa/Kampala|Uganda
UM||US minor outlying islands
US||United States,Statele Unite ale Americii,USA,U.S.A.,U.S.,United States of America,SUA,S.U.A.,Statele Unite
UY|America/Montevideo|Uruguay
UZ|Asia/Tashkent|Uzbekistan
VA|Europe/Vatican|Vatican City,Vatican
VC|America/St_Vincent|St Vincent
VE|America/Caracas|Venezuela
VG|America/Tortola|Virgin Islands (UK)
VI|America/St_Thomas|Virgin Islands (US)
VN|Asia/Ho_Chi_Minh|Vietnam,Viet Nam
VU|Pacific/Efate|Vanuatu
WF|Pacific/Wallis|Wallis & Futuna,Wallis and Futuna
WS|Pacific/Apia|Samoa (western)
XK|Europe/Belgrade|Kosovo
YE|Asia/Aden|Yemen
YT|Indian/Mayotte|Mayotte
ZA|Africa/Johannesburg|South Africa,Africa de Sud
ZM|Africa/Lusaka|Zambia
ZW|Africa/Harare|Zimbabwe
"""
