/* parameter: every row, code and unit of PARAMETERS.md, and what must not be taken for one. */
#include <string.h>

#include "daemon/model/parameter.h"
#include "tests/unit/unit.h"

/* One row a (parameter, code): name, text of the code as INTERFACES.md section 4 writes it. */
static const struct {
    const char *name, *code;
} codes[] = {
    {"heart-rate", "8867-4"},
    {"heart-rate", "mdc:147842"},
    {"heart-rate", "mdc:8410590"},
    {"pulse-rate", "mdc:149530"},
    {"pulse-rate", "mdc:149546"},
    {"pulse-rate", "mdc:149522"},
    {"bp-systolic", "8480-6"},
    {"bp-systolic", "mdc:150021"},
    {"bp-systolic", "mdc:150301"},
    {"bp-diastolic", "8462-4"},
    {"bp-diastolic", "mdc:150022"},
    {"bp-diastolic", "mdc:150302"},
    {"bp-mean", "8478-0"},
    {"bp-mean", "mdc:150023"},
    {"bp-mean", "mdc:150303"},
    {"spo2", "2708-6"},
    {"spo2", "59408-5"},
    {"spo2", "mdc:150456"},
    {"respiratory-rate", "9279-1"},
    {"respiratory-rate", "mdc:151562"},
    {"body-temperature", "8310-5"},
    {"body-temperature", "8331-1"},
    {"body-temperature", "mdc:150364"},
    {"body-temperature", "mdc:150344"},
    {"body-temperature", "mdc:188424"},
    {"body-weight", "29463-7"},
    {"body-weight", "mdc:188736"},
    {"body-height", "8302-2"},
    {"body-height", "mdc:188740"},
    {"bmi", "39156-5"},
    {"bmi", "mdc:188752"},
    {"glucose-blood", "2339-0"},
    {"glucose-blood", "2345-7"},
    {"glucose-blood", "41653-7"},
    {"glucose-blood", "15074-8"},
    {"glucose-blood", "mdc:160184"},
    {"glucose-blood", "mdc:160188"},
    {"glucose-blood", "mdc:160368"},
    {"glucose-interstitial", "99504-3"},
    {"glucose-interstitial", "105272-9"},
    {"glucose-interstitial", "mdc:160212"},
    {"glucose-interstitial", "taasip:MED-969"},
    {"gmi", "97506-0"},
    {"gmi", "taasip:MED-972"},
    {"hba1c", "4548-4"},
    {"hba1c", "59261-8"},
    {"hba1c", "mdc:160220"},
    {"insulin-basal", "insulin-basal"},
    {"insulin-bolus", "vigie:insulin-bolus"},
    {"insulin-pump-rate", "insulin-pump-rate"},
    {"ventilation-use", "ventilation-use"},
    {"oxygen-use", "oxygen-use"},
    {"ventilation-leak-total", "ventilation-leak-total"},
    {"ventilation-leak-unintentional", "ventilation-leak-unintentional"},
    {"oxygen-flow", "3151-8"},
    {"pef", "19935-6"},
    {"pef", "mdc:152584"},
    {"fev1", "20150-9"},
    {"fev1", "mdc:152586"},
    {"creatinine", "2160-0"},
    {"creatinine", "14682-9"},
    {"egfr", "33914-3"},
    {"egfr", "62238-1"},
    {"egfr", "98979-8"},
    {"potassium", "2823-3"},
    {"sodium", "2951-2"},
    {"haemoglobin", "718-7"},
    {"albumin-creatinine-ratio", "9318-7"},
    {"tacrolimus", "11253-2"},
    {"ciclosporin", "3520-4"},
    {"cholesterol-total", "2093-3"},
    {"cholesterol-hdl", "2085-9"},
    {"cholesterol-ldl", "2089-1"},
    {"bnp", "30934-4"},
    {"nt-probnp", "33762-6"},
    {"ultrafiltration-rate", "ultrafiltration-rate"},
    {"ultrafiltration-volume", "ultrafiltration-volume"},
    {"bag-volume", "bag-volume"},
    {"arterial-pressure-machine", "arterial-pressure-machine"},
    {"venous-pressure-machine", "venous-pressure-machine"},
    {"steps-per-day", "41950-7"},
    {"steps", "55423-0"},
    {"pain-nrs", "72514-3"},
    {"pain-vas-100", "pain-vas-100"},
    {"das28-score", "das28-score"},
    {"questionnaire-score", "questionnaire-score"},
    {"waist-circumference", "8280-0"},
    {"head-circumference", "8287-5"},
    {"head-circumference", "9843-4"},
    {"cied-battery-voltage", "mdc:721344"},
    {"cied-battery-percent", "mdc:721536"},
    {"cied-battery-longevity", "mdc:721472"},
    {"cied-lead-impedance", "mdc:722432"},
    {"cied-lead-threshold", "mdc:722176"},
    {"cied-lead-sensing", "mdc:722049"},
    {"sensor-battery", "mdc:67996"},
    {"bp-systolic@session-start", "bp-systolic@session-start"},
    {"bp-diastolic@session-during", "bp-diastolic@session-during"},
    {"heart-rate@session-end", "heart-rate@session-end"},
    {"body-weight@session-end", "body-weight@session-end"},
};

static enum parameter named(const char *name)
{
    enum parameter parameter = PARAMETER_COUNT;
    if (parameter_by_name(name, strlen(name), &parameter) != OK)
        fprintf(stderr, "\n  no parameter %s\n", name);
    CU_ASSERT_FATAL(parameter < PARAMETER_COUNT);
    return parameter;
}

static void test_codes(void)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        enum parameter parameter = PARAMETER_COUNT;
        CU_ASSERT_EQUAL_FATAL(parameter_by_text(codes[i].code, strlen(codes[i].code), &parameter),
                              CODE_MATCH);
        CU_ASSERT_EQUAL(parameter, named(codes[i].name));
        CU_ASSERT_STRING_EQUAL(parameter_row(parameter)->name, codes[i].name);
    }
    enum parameter parameter = PARAMETER_COUNT;
    CU_ASSERT_EQUAL(parameter_by_code(CODE_NCIT, "C159776", 7, &parameter), CODE_MATCH);
    CU_ASSERT_EQUAL(parameter, PARAMETER_GLUCOSE_INTERSTITIAL);
    CU_ASSERT_EQUAL(parameter_by_code(CODE_SNOMED, "443394008", 9, &parameter), CODE_MATCH);
    CU_ASSERT_EQUAL(parameter, PARAMETER_PAIN_VAS_100);
    CU_ASSERT_EQUAL(parameter_by_code(CODE_SNOMED, "441870009", 9, &parameter), CODE_MATCH);
    CU_ASSERT_EQUAL(parameter, PARAMETER_DAS28_SCORE);
}

static void test_no_codes(void)
{
    static const char *const unknown[] = {"",
                                          "8867-5",
                                          "8867-",
                                          "mdc:",
                                          "mdc:1",
                                          "mdc:8867-4",
                                          "147842",
                                          "Heart-Rate",
                                          "heart-rate@session",
                                          "bmi@session-start",
                                          "20149-1",
                                          "taasip:MED-970"};
    static const char *const never[] = {"mdc:160208", "mdc:150488", "mdc:150320", "mdc:160324",
                                        "mdc:67975",  "mdc:67976",  "mdc:150604"};
    enum parameter parameter = PARAMETER_COUNT;
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        CU_ASSERT_EQUAL(parameter_by_text(unknown[i], strlen(unknown[i]), &parameter), CODE_UNKNOWN);
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        CU_ASSERT_EQUAL(parameter_by_text(never[i], strlen(never[i]), &parameter), CODE_NEVER_PATIENT);
    CU_ASSERT_EQUAL(parameter, PARAMETER_COUNT);
}

static void test_bands(void)
{
    static const struct {
        const char *name;
        int64_t possible_min, possible_max, expected_min, expected_max, live_within_ms;
        enum parameter_class class;
    } rows[] = {
        {"heart-rate", 0, 500000000, 30000000, 220000000, 3600000, CLASS_CONTINUOUS},
        {"body-weight", 200000, 650000000, 2000000, 350000000, 86400000, CLASS_SPOT},
        {"body-temperature", 20000000, 46000000, 30000000, 42500000, 43200000, CLASS_SPOT},
        {"fev1", 50000, 12000000, 300000, 8000000, 86400000, CLASS_SPOT},
        {"ultrafiltration-volume", -20000000000, 20000000000, -6000000000, 8000000000, 86400000,
         CLASS_SESSION},
        {"nt-probnp", 0, 1000000000000, 0, 70000000000, 604800000, CLASS_LAB},
        {"bp-systolic@session-during", 20000000, 350000000, 70000000, 260000000, 43200000, CLASS_SPOT},
        {"steps", 0, 500000000000, 0, 100000000000, 172800000, CLASS_DAY},
        {"bmi", 3000000, 200000000, 10000000, 90000000, 86400000, CLASS_DERIVED},
        {"sensor-battery", 0, 100000000, 0, 100000000, 86400000, CLASS_TECHNICAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct parameter_row *row = parameter_row(named(rows[i].name));
        CU_ASSERT_EQUAL(row->possible_min, rows[i].possible_min);
        CU_ASSERT_EQUAL(row->possible_max, rows[i].possible_max);
        CU_ASSERT_EQUAL(row->expected_min, rows[i].expected_min);
        CU_ASSERT_EQUAL(row->expected_max, rows[i].expected_max);
        CU_ASSERT_EQUAL(row->live_within_ms, rows[i].live_within_ms);
        CU_ASSERT_EQUAL(row->class, rows[i].class);
    }
}

/* `value` in `unit` of parameter `name` is `millionths`. */
static const struct {
    const char *name;
    enum unit_system system;
    const char *unit, *value;
    int64_t millionths;
} units[] = {
    {"heart-rate", UNIT_UCUM, "{beat}/min", "72", 72000000},
    {"pulse-rate", UNIT_MDC, "264864", "72", 72000000},
    {"respiratory-rate", UNIT_UCUM, "{breaths}/min", "14", 14000000},
    {"respiratory-rate", UNIT_MDC, "264928", "14", 14000000},
    {"bp-systolic", UNIT_UCUM, "kPa", "16", 120009920},
    {"bp-mean@session-start", UNIT_MDC, "266016", "93", 93000000},
    {"spo2", UNIT_MDC, "262688", "97", 97000000},
    {"body-temperature", UNIT_UCUM, "[degF]", "98.6", 37000000},
    {"body-temperature", UNIT_UCUM, "K", "310.15", 37000000},
    {"body-temperature", UNIT_MDC, "268192", "37.1", 37100000},
    {"body-temperature", UNIT_MDC, "266560", "98.6", 37000000},
    {"body-weight", UNIT_MDC, "263904", "185", 83914588},
    {"body-height", UNIT_MDC, "263520", "70", 177800000},
    {"bp-systolic", UNIT_MDC, "265987", "16", 120009920},
    {"glucose-blood", UNIT_MDC, "266866", "6.3", 113498280},
    {"body-weight", UNIT_UCUM, "[lb_av]", "185", 83914588},
    {"body-weight", UNIT_UCUM, "g", "71400", 71400000},
    {"body-weight", UNIT_MDC, "263875", "71.4", 71400000},
    {"body-height", UNIT_UCUM, "m", "1.72", 172000000},
    {"body-height", UNIT_UCUM, "[in_i]", "70", 177800000},
    {"bmi", UNIT_MDC, "264096", "24.2", 24200000},
    {"glucose-blood", UNIT_UCUM, "mmol/L", "6.3", 113498280},
    {"glucose-interstitial", UNIT_UCUM, "g/L", "1.10", 110000000},
    {"glucose-interstitial", UNIT_MDC, "264274", "110", 110000000},
    {"gmi", UNIT_UCUM, "%", "7", 7000000},
    {"hba1c", UNIT_UCUM, "mmol/mol", "48", 6543040},
    {"insulin-bolus", UNIT_UCUM, "[iU]", "4.5", 4500000},
    {"insulin-pump-rate", UNIT_UCUM, "[iU]/h", "0.85", 850000},
    {"ventilation-use", UNIT_UCUM, "min", "450", 7500000},
    {"oxygen-use", UNIT_UCUM, "s", "54000", 15000000},
    {"ventilation-leak-total", UNIT_UCUM, "L/s", "0.4", 24000000},
    {"oxygen-flow", UNIT_UCUM, "L/min", "2", 2000000},
    {"pef", UNIT_MDC, "265201", "750", 450000000},
    {"pef", UNIT_UCUM, "L/s", "7.5", 450000000},
    {"fev1", UNIT_UCUM, "mL", "2450", 2450000},
    {"creatinine", UNIT_UCUM, "umol/L", "88.42", 1000000},
    {"egfr", UNIT_UCUM, "mL/min/{1.73_m2}", "29", 29000000},
    {"potassium", UNIT_UCUM, "meq/L", "4.1", 4100000},
    {"haemoglobin", UNIT_UCUM, "g/L", "134", 13400000},
    {"albumin-creatinine-ratio", UNIT_UCUM, "mg/mmol", "3", 26520000},
    {"ciclosporin", UNIT_UCUM, "ng/mL", "120", 120000000},
    {"cholesterol-hdl", UNIT_UCUM, "mmol/L", "1.2", 46404000},
    {"cholesterol-ldl", UNIT_UCUM, "g/L", "1.3", 130000000},
    {"bnp", UNIT_UCUM, "ng/L", "100", 100000000},
    {"ultrafiltration-rate", UNIT_UCUM, "L/h", "0.8", 800000000},
    {"bag-volume", UNIT_UCUM, "L", "2", 2000000000},
    {"venous-pressure-machine", UNIT_UCUM, "mm[Hg]", "-150", -150000000},
    {"steps-per-day", UNIT_UCUM, "1/(24.h)", "8000", 8000000000},
    {"steps", UNIT_UCUM, "1", "12", 12000000},
    {"pain-nrs", UNIT_UCUM, "1", "5", 5000000},
    {"waist-circumference", UNIT_UCUM, "[in_i]", "40", 101600000},
    {"cied-battery-voltage", UNIT_UCUM, "mV", "2960", 2960000},
    {"cied-battery-longevity", UNIT_UCUM, "mo", "96", 96000000},
    {"cied-lead-impedance", UNIT_UCUM, "Ohm", "520", 520000000},
    {"cied-lead-threshold", UNIT_UCUM, "V", "0.75", 750000},
    {"cied-lead-sensing", UNIT_UCUM, "mV", "11.2", 11200000},
};

static void test_units(void)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        const struct decimal_conversion *conversion = NULL;
        int64_t value = 0;
        enum err error = parameter_unit(named(units[i].name), units[i].system, units[i].unit,
                                        strlen(units[i].unit), &conversion);
        if (error != OK)
            fprintf(stderr, "\n  %s in %s: %s\n", units[i].name, units[i].unit, err_name(error));
        CU_ASSERT_EQUAL_FATAL(error, OK);
        CU_ASSERT_EQUAL(decimal_parse(units[i].value, strlen(units[i].value), conversion, &value), OK);
        CU_ASSERT_EQUAL(value, units[i].millionths);
    }
}

static void test_foreign_units(void)
{
    static const struct {
        const char *name;
        enum unit_system system;
        const char *unit;
        enum err error;
    } rows[] = {
        {"hba1c", UNIT_UCUM, "mg/dL", ERR_REFUSED},
        {"body-weight", UNIT_UCUM, "[kg]", ERR_NOT_FOUND},
        {"body-weight", UNIT_UCUM, "Kg", ERR_NOT_FOUND},
        {"heart-rate", UNIT_UCUM, "{breath}/min", ERR_REFUSED},
        {"spo2", UNIT_UCUM, "262688", ERR_NOT_FOUND},
        {"spo2", UNIT_MDC, "%", ERR_NOT_FOUND},
        {"spo2", UNIT_MDC, "266016", ERR_REFUSED},
        {"body-temperature", UNIT_UCUM, "C", ERR_NOT_FOUND},
        {"body-weight", UNIT_UCUM, "", ERR_NOT_FOUND},
        {"cholesterol-ldl", UNIT_UCUM, "mmol/L", ERR_REFUSED},
        {"cied-lead-threshold", UNIT_UCUM, "mV", ERR_REFUSED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct decimal_conversion *conversion = NULL;
        CU_ASSERT_EQUAL(parameter_unit(named(rows[i].name), rows[i].system, rows[i].unit,
                                       strlen(rows[i].unit), &conversion),
                        rows[i].error);
        CU_ASSERT_PTR_NULL(conversion);
    }
    CU_ASSERT_TRUE(parameter_unit_quarantined(PARAMETER_CHOLESTEROL_LDL, "mmol/L", 6));
    CU_ASSERT_FALSE(parameter_unit_quarantined(PARAMETER_CHOLESTEROL_LDL, "mg/dL", 5));
    CU_ASSERT_FALSE(parameter_unit_quarantined(PARAMETER_CHOLESTEROL_HDL, "mmol/L", 6));
}

static void test_differences(void)
{
    const struct decimal_conversion *conversion = NULL;
    CU_ASSERT_EQUAL(parameter_unit(PARAMETER_BODY_TEMPERATURE, UNIT_UCUM, "[degF]", 6, &conversion), OK);
    CU_ASSERT_EQUAL(parameter_difference(conversion, 2000000), 1111111);
    CU_ASSERT_EQUAL(parameter_difference(conversion, -2000000), -1111111);
    CU_ASSERT_EQUAL(parameter_difference(NULL, 2000000), 2000000);
}

SUITE(parameter) = {
    {"every code and name", test_codes},
    {"what is no code of a patient's value", test_no_codes},
    {"bands, classes, live_within", test_bands},
    {"every unit converts", test_units},
    {"foreign and unknown units", test_foreign_units},
    {"differences", test_differences},
    {NULL, NULL},
};
